// Package apikeys exchanges API keys for access tokens of auth, and remembers them for a while.
package apikeys

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/keys"
)

const (
	// freshFor is how long a token is used before auth is asked again: a key that was revoked is out of use by then.
	freshFor = time.Minute
	// spare is how long a token has to be good for yet, so that it still is when it arrives.
	spare = 10 * time.Second
	// refusedFor is how long a key that auth refused is refused without asking.
	refusedFor = 10 * time.Second
	// remembered bounds the keys that are remembered, and what was refused: about 10 MB, and 2 MB.
	remembered = 10_000
	// atOnce is how many questions to auth are under way at a time.
	atOnce = 64
	// exchangeTimeout bounds one question to auth.
	exchangeTimeout = 3 * time.Second
)

// Exchange gets access tokens for API keys. It is safe for concurrent use.
type Exchange struct {
	client authv1connect.ApiKeyServiceClient
	// good and bad are apart, so that whoever tries many keys makes nobody's good one forgotten.
	good, bad *lru.Cache[digest, answer]
	flight    singleflight.Group
	asking    chan struct{}
	now       func() time.Time
}

// digest stands for a secret, so that none is kept.
type digest [sha256.Size]byte

type answer struct {
	token string
	err   error // of a key that was refused
	until time.Time
}

// New returns an exchange that has asked nothing yet.
func New(clients *rpc.Clients) *Exchange {
	return newExchange(authv1connect.NewApiKeyServiceClient(clients.Client(keys.Service)))
}

func newExchange(client authv1connect.ApiKeyServiceClient) *Exchange {
	return &Exchange{client: client, good: newMemory(), bad: newMemory(), asking: make(chan struct{}, atOnce), now: time.Now}
}

func newMemory() *lru.Cache[digest, answer] {
	memory, err := lru.New[digest, answer](remembered)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return memory
}

// Known tells whether the answer for a key is there already: then Token asks nobody.
func (e *Exchange) Known(secret string) bool {
	_, ok := e.lookup(sha256.Sum256([]byte(secret)))
	return ok
}

func (e *Exchange) lookup(d digest) (answer, bool) {
	now := e.now()
	if known, ok := e.good.Get(d); ok && now.Before(known.until) {
		return known, true
	}
	known, ok := e.bad.Get(d)
	return known, ok && now.Before(known.until)
}

// Token returns an access token for a key. It fails with unauthenticated (API_KEY_INVALID, ACCOUNT_DEACTIVATED), or with
// unavailable (KEYS_UNAVAILABLE) where auth cannot tell. A revoked key works for a minute at most.
func (e *Exchange) Token(ctx context.Context, secret string) (string, error) {
	d := digest(sha256.Sum256([]byte(secret)))
	if known, ok := e.lookup(d); ok {
		return known.token, known.err
	}
	done := e.flight.DoChan(string(d[:]), func() (any, error) {
		// The question is on behalf of all that wait, so one caller's cancellation must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTimeout)
		defer cancel()
		return e.ask(ctx, d, secret)
	})
	select {
	case result := <-done:
		if result.Err != nil {
			return "", result.Err
		}
		a, _ := result.Val.(answer) // nothing else is returned
		return a.token, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ask asks auth; the error is of what may be asked again at once.
func (e *Exchange) ask(ctx context.Context, d digest, secret string) (answer, error) {
	select {
	case e.asking <- struct{}{}:
		defer func() { <-e.asking }()
	default:
		return answer{}, unavailable(errors.New("too many API keys are being looked at"))
	}
	now := e.now()
	res, err := e.client.ExchangeApiKey(ctx, &authv1.ExchangeApiKeyRequest{Secret: secret})
	var a answer
	switch {
	case err == nil:
		a = answer{token: res.GetAccessToken(), until: now.Add(freshFor)}
		if last := res.GetExpiresAt().AsTime().Add(-spare); last.Before(a.until) {
			a.until = last
		}
		e.good.Add(d, a)
	case connect.CodeOf(err) == connect.CodeUnauthenticated || connect.CodeOf(err) == connect.CodeInvalidArgument:
		a = answer{err: refused(err), until: now.Add(refusedFor)}
		e.good.Remove(d)
		e.bad.Add(d, a)
	default:
		return answer{}, unavailable(err)
	}
	return a, nil
}

// refused is what callers are told: auth's reason, or that the key is not one.
func refused(err error) error {
	if connect.CodeOf(err) == connect.CodeUnauthenticated && rpcerror.Reason(err) != "" {
		return rpcerror.Forward(err)
	}
	return rpcerror.New(connect.CodeUnauthenticated, "API_KEY_INVALID", "the API key is not valid", rpcerror.Cause(err))
}

func unavailable(cause error) error {
	return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonKeysUnavailable, "API keys cannot be verified at the moment", rpcerror.Cause(cause))
}
