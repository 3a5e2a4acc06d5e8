package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/profile"
)

// auth is a platform with one person, whose session has one good refresh token at a time.
type auth struct {
	authv1connect.UnimplementedAuthServiceHandler

	mu        sync.Mutex
	current   int
	refreshes atomic.Int32
	lose      atomic.Int32 // so many answers to Refresh get lost
	over      atomic.Bool  // the session was ended
}

func access(n int) string  { return fmt.Sprintf("access-%d", n) }
func refresh(n int) string { return fmt.Sprintf("refresh-%d", n) }

// Refresh implements ashlar.auth.v1.AuthService: the token before gives the same next one again, like auth does.
func (a *auth) Refresh(_ context.Context, req *authv1.RefreshRequest) (*authv1.RefreshResponse, error) {
	a.refreshes.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over.Load():
		return nil, rpcerror.New(connect.CodeUnauthenticated, "SESSION_REVOKED", "the session was ended: sign in again")
	case req.GetRefreshToken() == refresh(a.current):
		a.current++
	case a.current == 0 || req.GetRefreshToken() != refresh(a.current-1):
		return nil, rpcerror.New(connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED", "used before")
	}
	if a.lose.Add(-1) >= 0 {
		return nil, rpcerror.New(connect.CodeUnavailable, "SERVICE_UNAVAILABLE", "the answer got lost")
	}
	return &authv1.RefreshResponse{Tokens: &authv1.Tokens{
		AccessToken: access(a.current), RefreshToken: refresh(a.current), ExpiresAt: timestamppb.New(time.Now().Add(5 * time.Minute)),
	}}, nil
}

// WhoAmI implements ashlar.auth.v1.AuthService.
func (a *auth) WhoAmI(ctx context.Context, _ *authv1.WhoAmIRequest) (*authv1.WhoAmIResponse, error) {
	info, _ := connect.CallInfoForServerContext(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch token := info.RequestHeader().Get("Authorization"); {
	case token == "":
		return nil, rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenMissing, "no token")
	case token != "Bearer "+access(a.current):
		return nil, rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenExpired, "the access token has expired")
	}
	return &authv1.WhoAmIResponse{UserId: "usr_1"}, nil
}

func (a *auth) serve(t *testing.T) string {
	t.Helper()
	server, mux := connect.NewServer(), http.NewServeMux()
	authv1connect.RegisterAuthServiceHandler(server, a)
	connecthttp.Mount(mux, server)
	web := httptest.NewUnstartedServer(mux)
	web.Config.Protocols = new(http.Protocols)
	web.Config.Protocols.SetHTTP1(true)
	web.Config.Protocols.SetUnencryptedHTTP2(true)
	web.Start()
	t.Cleanup(web.Close)
	return web.URL
}

// signedIn returns flags for a profile with the first tokens, of which the access token is good for so long.
func signedIn(t *testing.T, gateway string, left time.Duration) client.Flags {
	t.Helper()
	flags := client.Flags{Timeout: 10 * time.Second}
	flags.ConfigDir = filepath.Join(t.TempDir(), "config")
	store, err := flags.Store()
	require.NoError(t, err)
	require.NoError(t, store.Update(t.Context(), profile.DefaultName, func(p *profile.Profile) error {
		p.Gateway, p.UserID, p.Email = gateway, "usr_1", "a@example.com"
		p.Tokens = profile.Tokens{Access: "access-0", Refresh: "refresh-0", ExpiresAt: time.Now().Add(left)}
		return nil
	}))
	return flags
}

func whoAmI(t *testing.T, flags client.Flags) error {
	t.Helper()
	connection, err := flags.Connect(t.Context())
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = authv1connect.NewAuthServiceClient(connection.Client()).WhoAmI(t.Context(), &authv1.WhoAmIRequest{})
	return client.Explain(err)
}

func TestATokenThatIsGoodIsUsed(t *testing.T) {
	t.Parallel()
	a := &auth{}
	require.NoError(t, whoAmI(t, signedIn(t, a.serve(t), time.Hour)))
	require.Zero(t, a.refreshes.Load())
}

func TestAnExpiredTokenIsRenewedOnceForAll(t *testing.T) {
	t.Parallel()
	a := &auth{}
	flags := signedIn(t, a.serve(t), -time.Minute)
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() { assert.NoError(t, whoAmI(t, flags)) })
	}
	wait.Wait()
	require.EqualValues(t, 1, a.refreshes.Load())
}

func TestATokenThatIsNotTakenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	a := &auth{current: 1} // access-0 is not taken any more, and refresh-0 gives access-1
	flags := signedIn(t, a.serve(t), time.Hour)
	require.NoError(t, whoAmI(t, flags))
	require.NoError(t, whoAmI(t, flags))
	require.EqualValues(t, 1, a.refreshes.Load())
}

func TestALostAnswerDoesNotLogOut(t *testing.T) {
	t.Parallel()
	a := &auth{}
	a.lose.Store(2)
	flags := signedIn(t, a.serve(t), -time.Minute)
	require.NoError(t, whoAmI(t, flags))
	require.EqualValues(t, 3, a.refreshes.Load())
}

// Nothing stops a refresh that is under way, since its answer must be kept.
func TestACommandThatEndsKeepsTheAnswer(t *testing.T) {
	t.Parallel()
	a := &auth{}
	flags := signedIn(t, a.serve(t), -time.Minute)
	connection, err := flags.Connect(t.Context())
	require.NoError(t, err)
	defer connection.Close()
	ctx, cancel := context.WithCancel(t.Context())
	a.mu.Lock() // Refresh waits
	ended := make(chan error, 1)
	go func() {
		_, err := authv1connect.NewAuthServiceClient(connection.Client()).WhoAmI(ctx, &authv1.WhoAmIRequest{})
		ended <- err
	}()
	require.Eventually(t, func() bool { return a.refreshes.Load() == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	a.mu.Unlock()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, whoAmI(t, flags))
	require.EqualValues(t, 1, a.refreshes.Load())
}

func TestAnEndedSession(t *testing.T) {
	t.Parallel()
	a := &auth{}
	a.over.Store(true)
	flags := signedIn(t, a.serve(t), -time.Minute)
	err := whoAmI(t, flags)
	require.ErrorContains(t, err, "SESSION_REVOKED")
	require.Equal(t, exit.NotSignedIn, exit.Code(err))
	err = whoAmI(t, flags)
	require.ErrorContains(t, err, "platformctl login")
	require.Equal(t, exit.NotSignedIn, exit.Code(err))
	require.EqualValues(t, 1, a.refreshes.Load())
}

// Whoever gets a person to call another gateway must not get the person's token.
func TestTokensGoToTheirGatewayOnly(t *testing.T) {
	t.Parallel()
	a, other := &auth{}, &auth{}
	flags := signedIn(t, a.serve(t), time.Hour)
	flags.Gateway = other.serve(t)
	err := whoAmI(t, flags)
	require.ErrorContains(t, err, "not signed in at "+flags.Gateway)
	require.Equal(t, exit.NotSignedIn, exit.Code(err))

	redirect := httptest.NewServer(http.RedirectHandler(a.serve(t), http.StatusTemporaryRedirect))
	t.Cleanup(redirect.Close)
	require.Error(t, whoAmI(t, signedIn(t, redirect.URL, time.Hour)))
}

func TestATokenFromTheEnvironment(t *testing.T) {
	a := &auth{}
	flags := signedIn(t, a.serve(t), -time.Minute)
	t.Setenv(client.TokenVariable, access(0))
	require.NoError(t, whoAmI(t, flags))
	t.Setenv(client.TokenVariable, "other")
	err := whoAmI(t, flags)
	require.ErrorContains(t, err, "TOKEN_EXPIRED")
	require.NotContains(t, err.Error(), "other")
	require.Zero(t, a.refreshes.Load())
	t.Setenv(client.TokenVariable, "a token\n")
	err = whoAmI(t, flags)
	require.Equal(t, exit.Usage, exit.Code(err))
	require.NotContains(t, err.Error(), "a token\n")
}

func TestWhereTheGatewayMayBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             client.DefaultGateway,
		"127.0.0.1:9":                  "http://127.0.0.1:9",
		"localhost:9":                  "http://localhost:9",
		"http://[::1]:9/":              "http://[::1]:9",
		"https://Example.COM":          "https://example.com",
		"http://example.com":           "!--insecure",
		"example.com":                  "!--insecure",
		"https://bob:secret@localhost": "!user or password",
		"http://localhost.evil.com":    "!--insecure",
		"ftp://localhost":              "!want https",
		"https://":                     "!want https",
		"https://localhost/x":          "!want https",
		"https://localhost/?token=x":   "!want https",
		"http://127.0.0.1:x":           "!cannot be read",
	} {
		got, err := (&client.Flags{Gateway: text}).Address(&profile.Profile{})
		if want[0] == '!' {
			require.ErrorContains(t, err, want[1:], text)
			require.Equal(t, exit.Usage, exit.Code(err), text)
			require.NotContains(t, err.Error(), "secret")
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	got, err := (&client.Flags{Gateway: "http://example.com", Insecure: true}).Address(&profile.Profile{})
	require.NoError(t, err)
	require.Equal(t, "http://example.com", got)
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	err := whoAmI(t, signedIn(t, "http://127.0.0.1:1", time.Hour)) // a port of a server that ended can be another's by now
	require.Equal(t, exit.Unavailable, exit.Code(err))
	require.ErrorContains(t, err, "Is the platform up?")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	remote := func(err *connect.Error) error { return fmt.Errorf("call: %w", err.WithRemote()) }
	for name, test := range map[string]struct {
		err  error
		code int
		says string
	}{
		"nothing":    {nil, exit.OK, ""},
		"not a call": {errors.New("other"), exit.Failure, "other"},
		"denied": {
			remote(rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied, "permission a.b.c is needed in organization org_1",
				rpcerror.Meta("permission", "a.b.c"), rpcerror.Meta("organization", "org_1"))),
			exit.Denied, "permission a.b.c is needed in organization org_1 (PERMISSION_DENIED)\n" +
				"  Somebody who may can grant a role that has it: platformctl grants grant USER ROLE --org org_1",
		},
		"invalid": {
			remote(rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, "the request is not valid\x1b[2J", rpcerror.Field("email", "must be an address\nnot a name"))),
			exit.Invalid, "the request is not valid\uFFFD[2J (INVALID_REQUEST)\n  email: must be an address not a name",
		},
		"limited": {
			remote(rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonRateLimited, "too many requests", rpcerror.RetryAfter(1500*time.Millisecond))),
			exit.Unavailable, "too many requests (RATE_LIMITED)\n  Try again in 1.5s.",
		},
		"no details":  {remote(connect.NewError(connect.CodeNotFound, "")), exit.NotFound, "not found (not_found)"},
		"conflict":    {remote(connect.NewError(connect.CodeAlreadyExists, "x")), exit.Conflict, "x (already_exists)"},
		"with a code": {exit.With(exit.Pending, remote(connect.NewError(connect.CodeNotFound, "x"))), exit.Pending, "call: not_found: x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := client.Explain(test.err)
			require.Equal(t, test.code, exit.Code(err))
			if test.err == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.says, err.Error())
		})
	}
}

// Whatever is given for a gateway, a token goes out by https or stays on this machine.
func FuzzGateway(f *testing.F) {
	for _, text := range []string{"https://example.com", "127.0.0.1:8080", "http://[::1]:9/", "http://localhost@example.com", "http://127.0.0.1.example.com"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := (&client.Flags{Gateway: text}).Address(&profile.Profile{})
		if err != nil {
			return
		}
		u, err := url.Parse(address)
		require.NoError(t, err)
		again, err := (&client.Flags{Gateway: address}).Address(&profile.Profile{})
		require.NoError(t, err)
		require.Equal(t, address, again)
		require.Nil(t, u.User)
		if u.Scheme != "https" {
			ip := net.ParseIP(u.Hostname())
			require.True(t, u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(), address)
		}
	})
}
