// Package keys gets the public keys of access tokens from auth and keeps them fresh.
package keys

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/platform/core"
)

// Service is the name of the service that has the keys.
const Service = core.Auth

const (
	// maxAge is how old keys may be before they are asked for again: a key that was withdrawn is out of use by then.
	maxAge = 5 * time.Minute
	// minAge is the least time between two questions, so that made-up key ids cannot flood auth, and least of all while
	// it is in trouble.
	minAge = time.Second
	// maxStale is how old they may become while auth cannot be reached; after that no token is accepted.
	maxStale = time.Hour
	// fetchTimeout bounds one question to auth.
	fetchTimeout = 3 * time.Second
)

// Source is an authn.KeySource that asks auth when it has to, and remembers.
type Source struct {
	client authv1connect.KeyServiceClient
	log    *slog.Logger
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	fetched time.Time
	tried   time.Time
	failure error // of the last question; nil where it was answered
}

// NewSource returns a source. It asks nothing until it is asked.
func NewSource(clients *rpc.Clients, log *slog.Logger) *Source {
	return &Source{client: authv1connect.NewKeyServiceClient(clients.Client(Service)), log: log, now: time.Now}
}

// Key implements authn.KeySource.
func (s *Source) Key(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	key, age, tried, failure := s.look(kid)
	now := s.now()
	switch {
	case key != nil && age < maxAge:
		return key, nil
	case now.Sub(tried) >= minAge:
		// It is time to ask.
	case key != nil && age < maxStale:
		return key, nil
	case failure != nil:
		return nil, failure
	default:
		return nil, authn.ErrUnknownKey
	}
	err := s.refresh(ctx, tried)
	key, age, _, _ = s.look(kid)
	switch {
	case err != nil && (key == nil || age >= maxStale):
		return nil, err
	case key == nil:
		return nil, authn.ErrUnknownKey
	default:
		return key, nil
	}
}

func (s *Source) look(kid string) (key ed25519.PublicKey, age time.Duration, tried time.Time, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[kid], s.now().Sub(s.fetched), s.tried, s.failure
}

// refresh asks auth, unless somebody has since the time that the caller saw; many that wait ask once.
func (s *Source) refresh(ctx context.Context, seen time.Time) error {
	done := s.flight.DoChan("", func() (any, error) {
		// The question is on behalf of all that wait, so one caller's cancellation must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		if _, _, tried, failure := s.look(""); !tried.Equal(seen) {
			return nil, failure
		}
		return nil, s.fetch(ctx)
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source) fetch(ctx context.Context) error {
	res, err := s.client.GetJwks(ctx, &authv1.GetJwksRequest{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.failure = s.now(), nil
	var keys map[string]ed25519.PublicKey
	if err == nil {
		keys, err = parse(res.GetKeys())
	}
	if err != nil {
		s.log.WarnContext(ctx, "cannot get the keys of access tokens", "error", err)
		s.failure = fmt.Errorf("keys of access tokens: %w", err)
		return s.failure
	}
	s.keys, s.fetched = keys, s.tried
	return nil
}

func parse(jwks []*authv1.Jwk) (map[string]ed25519.PublicKey, error) {
	keys := map[string]ed25519.PublicKey{}
	for _, k := range jwks {
		if k.GetKty() != "OKP" || k.GetCrv() != "Ed25519" {
			continue // a kind of key that is not ours
		}
		public, err := base64.RawURLEncoding.DecodeString(k.GetX())
		if err != nil || len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("key %q is malformed", k.GetKid())
		}
		keys[k.GetKid()] = public
	}
	if len(keys) == 0 {
		return nil, errors.New("there are none")
	}
	return keys, nil
}
