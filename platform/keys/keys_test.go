package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// auth stands in for the service, and counts.
type auth struct {
	authv1connect.UnimplementedKeyServiceHandler

	asked atomic.Int32
	mu    sync.Mutex
	keys  []*authv1.Jwk
	down  bool
	hold  chan struct{}
}

func (a *auth) GetJwks(ctx context.Context, _ *authv1.GetJwksRequest) (*authv1.GetJwksResponse, error) {
	a.asked.Add(1)
	a.mu.Lock()
	keys, down, hold := a.keys, a.down, a.hold
	a.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if down {
		return nil, connect.NewError(connect.CodeUnavailable, "down")
	}
	return &authv1.GetJwksResponse{Keys: keys}, nil
}

func (a *auth) set(down bool, keys ...*authv1.Jwk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down, a.keys = down, keys
}

func jwk(t *testing.T, kid string) *authv1.Jwk {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return &authv1.Jwk{Kty: "OKP", Crv: "Ed25519", Alg: "EdDSA", Use: "sig", Kid: kid, X: base64.RawURLEncoding.EncodeToString(public)}
}

// clock is a time that passes when a test says so.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newTestSource(t *testing.T, keys ...*authv1.Jwk) (*Source, *auth, *clock) {
	t.Helper()
	a := &auth{keys: keys}
	server := connect.NewServer()
	authv1connect.RegisterKeyServiceHandler(server, a)
	hub := rpc.NewHub()
	hub.Add(Service, server)
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{}, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	clients, err := rpc.NewLocalClients(tel, workload.NewTokens("notes", workload.NewClusterKey()), hub)
	require.NoError(t, err)
	source, c := NewSource(clients, slog.New(slog.DiscardHandler)), &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	source.now = c.Now
	return source, a, c
}

// has asks for keys and says which are there.
func has(t *testing.T, s *Source, kid string) bool {
	t.Helper()
	key, err := s.Key(t.Context(), kid)
	if err != nil {
		require.ErrorIs(t, err, authn.ErrUnknownKey)
		return false
	}
	require.Len(t, key, ed25519.PublicKeySize)
	return true
}

func TestKeysAreAskedForOnceAndKeptFresh(t *testing.T) {
	t.Parallel()
	s, a, c := newTestSource(t, jwk(t, "k1"))
	require.EqualValues(t, 0, a.asked.Load(), "nothing is asked before somebody asks")
	for range 100 {
		require.True(t, has(t, s, "k1"))
	}
	require.EqualValues(t, 1, a.asked.Load())
	c.pass(maxAge - time.Nanosecond)
	require.True(t, has(t, s, "k1"))
	require.EqualValues(t, 1, a.asked.Load())
	c.pass(time.Nanosecond)
	require.True(t, has(t, s, "k1"))
	require.EqualValues(t, 2, a.asked.Load())
}

func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := jwk(t, "k1"), jwk(t, "k2")
	s, a, c := newTestSource(t, first)
	require.True(t, has(t, s, "k1"))
	a.set(false, first, second)
	c.pass(minAge)
	require.True(t, has(t, s, "k2"), "an id that is not known yet is asked for at once")
	require.True(t, has(t, s, "k1"))
	require.EqualValues(t, 2, a.asked.Load())

	a.set(false, second)
	c.pass(maxAge)
	require.False(t, has(t, s, "k1"), "a key that was withdrawn is good no longer than keys are kept")
	require.True(t, has(t, s, "k2"))
}

// Whoever sends tokens with made-up ids makes us ask no more than once a second, also while auth is in trouble.
func TestFloodsOfUnknownIDs(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*Source, *auth, *clock){
		"with fresh keys":         func(s *Source, _ *auth, _ *clock) { _, _ = s.Key(context.Background(), "k1") },
		"with no keys, auth down": func(_ *Source, a *auth, _ *clock) { a.set(true) },
		"with old keys, auth down": func(s *Source, a *auth, c *clock) {
			_, _ = s.Key(context.Background(), "k1")
			a.set(true)
			c.pass(2 * maxAge)
		},
		"with keys that are too old, auth down": func(s *Source, a *auth, c *clock) {
			_, _ = s.Key(context.Background(), "k1")
			a.set(true)
			c.pass(2 * maxStale)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, a, c := newTestSource(t, jwk(t, "k1"))
			prepare(s, a, c)
			c.pass(minAge)
			before := a.asked.Load()
			const seconds = 5
			for range seconds {
				for i := range 50 {
					_, err := s.Key(t.Context(), fmt.Sprint("made-up-", i))
					require.Error(t, err)
				}
				c.pass(minAge)
			}
			require.EqualValues(t, seconds, a.asked.Load()-before)
		})
	}
}

func TestAuthIsDown(t *testing.T) {
	t.Parallel()
	s, a, c := newTestSource(t, jwk(t, "k1"))
	a.set(true)
	_, err := s.Key(t.Context(), "k1")
	require.Error(t, err)
	require.NotErrorIs(t, err, authn.ErrUnknownKey, "whether the key exists is not known")
	_, err = s.Key(t.Context(), "k1")
	require.NotErrorIs(t, err, authn.ErrUnknownKey, "also right after")

	a.set(false, jwk(t, "k1"))
	c.pass(minAge)
	require.True(t, has(t, s, "k1"))

	// Keys that are known go on to be good for a while.
	a.set(true)
	for range 11 {
		c.pass(maxAge)
		require.True(t, has(t, s, "k1"))
		require.True(t, has(t, s, "k1"))
	}
	_, err = s.Key(t.Context(), "k2")
	require.NotErrorIs(t, err, authn.ErrUnknownKey)
	c.pass(maxAge)
	_, err = s.Key(t.Context(), "k1")
	require.ErrorContains(t, err, "keys of access tokens", "after an hour without auth nothing is accepted")

	a.set(false, jwk(t, "k1"))
	c.pass(minAge)
	require.True(t, has(t, s, "k1"), "and it is good again when auth is back")
}

func TestStrangeKeys(t *testing.T) {
	t.Parallel()
	rsa := &authv1.Jwk{Kty: "RSA", Kid: "rsa"}
	for name, test := range map[string]struct {
		keys []*authv1.Jwk
		says string
	}{
		"another kind beside ours": {[]*authv1.Jwk{rsa, jwk(t, "k1")}, ""},
		"another kind only":        {[]*authv1.Jwk{rsa}, "there are none"},
		"none":                     {nil, "there are none"},
		"a short one":              {[]*authv1.Jwk{{Kty: "OKP", Crv: "Ed25519", Kid: "k1", X: "AAAA"}}, `key "k1" is malformed`},
		"no base64":                {[]*authv1.Jwk{{Kty: "OKP", Crv: "Ed25519", Kid: "k1", X: "%"}}, `key "k1" is malformed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := newTestSource(t, test.keys...)
			_, err := s.Key(t.Context(), "k1")
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
			require.NotErrorIs(t, err, authn.ErrUnknownKey)
		})
	}
}

// Many that wait ask once, and one that gives up takes nothing from the others.
func TestMoreThanOneWaits(t *testing.T) {
	t.Parallel()
	s, a, _ := newTestSource(t, jwk(t, "k1"))
	hold := make(chan struct{})
	a.hold = hold
	impatient, giveUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.Key(impatient, "k1")
		first <- err
	}()
	require.Eventually(t, func() bool { return a.asked.Load() == 1 }, time.Minute, time.Millisecond)
	var others sync.WaitGroup
	for range 20 {
		others.Go(func() {
			if _, err := s.Key(t.Context(), "k1"); err != nil {
				t.Error(err)
			}
		})
	}
	giveUp()
	require.ErrorIs(t, <-first, context.Canceled)
	close(hold)
	others.Wait()
	require.EqualValues(t, 1, a.asked.Load())
}
