package client

import (
	"context"
	"net/url"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platformctl/profile"
)

// maxMessageBytes is what the gateway lets through.
const maxMessageBytes = 4 << 20

// Connection calls RPCs through a gateway. It is safe for concurrent use.
type Connection struct {
	gateway string
	profile *profile.Profile
	tokens  source
	timeout time.Duration
	http    *httpClient
}

// Gateway is the URL of the gateway.
func (c *Connection) Gateway() string { return c.gateway }

// OnThisMachine tells whether the URL of the gateway is one that no other machine can have.
func (c *Connection) OnThisMachine() bool {
	u, err := url.Parse(c.gateway)
	return err == nil && isLoopback(u.Hostname())
}

// Profile is who is signed in at the gateway, as far as the profile knows. It is not kept fresh.
func (c *Connection) Profile() *profile.Profile { return c.profile }

// Organization returns what a command is about: the organization that it names, or that of the profile, or none ("").
func (c *Connection) Organization(named string) string {
	if named != "" {
		return named
	}
	return c.profile.Organization
}

// Close ends the connection, and calls that are under way.
func (c *Connection) Close() { c.http.close() }

// Client returns a client for generated constructors, whose calls carry the token of whoever is signed in; where nobody
// is, they fail with exit.NotSignedIn. A token that is about to expire, or that the platform does not take any more, is
// renewed. Options choose the protocol; it is Connect where none does.
func (c *Connection) Client(options ...connecthttp.Option) *connect.Client {
	return connect.NewClient(&authenticated{inner: c.transport(options...), tokens: c.tokens}, c.withDeadline)
}

// Anonymous returns a client whose calls carry no token.
func (c *Connection) Anonymous(options ...connecthttp.Option) *connect.Client {
	return connect.NewClient(c.transport(options...), c.withDeadline)
}

// SignedIn tells whether calls of Client carry a token.
func (c *Connection) SignedIn() bool { return c.tokens.any() }

func (c *Connection) transport(options ...connecthttp.Option) connect.Transport {
	return connecthttp.NewTransport(c.http, c.gateway, append([]connecthttp.Option{connecthttp.WithReadMaxBytes(maxMessageBytes)}, options...)...)
}

// refresh exchanges a refresh token for new tokens.
func (c *Connection) refresh(ctx context.Context, token config.Secret) (profile.Tokens, error) {
	answer, err := authv1connect.NewAuthServiceClient(connect.NewClient(c.transport())).
		Refresh(ctx, &authv1.RefreshRequest{RefreshToken: token.Reveal()})
	if err != nil {
		return profile.Tokens{}, err
	}
	return Tokens(answer.GetTokens()), nil
}

// Tokens are tokens in the form that profiles keep.
func Tokens(t *authv1.Tokens) profile.Tokens {
	return profile.Tokens{Access: config.Secret(t.GetAccessToken()), Refresh: config.Secret(t.GetRefreshToken()), ExpiresAt: t.GetExpiresAt().AsTime()}
}

// withDeadline bounds unary calls.
func (c *Connection) withDeadline(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		if c.timeout <= 0 || spec.StreamType != connect.StreamTypeUnary {
			return next(ctx, spec)
		}
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		stream, err := next(ctx, spec)
		if err != nil {
			cancel()
			return nil, err
		}
		return &bounded{ClientStream: stream, cancel: cancel}, nil
	}
}

type bounded struct {
	connect.ClientStream

	cancel context.CancelFunc
}

// Close implements connect.ClientStream; a unary call always closes.
func (s *bounded) Close() error {
	defer s.cancel()
	return s.ClientStream.Close()
}
