package client

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/cenkalti/backoff/v5"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/profile"
)

const (
	// early is how long before its end a token is renewed: a call must not outlive it on the way.
	early = 30 * time.Second
	// attemptTimeout is how long one attempt to refresh may take, and refreshTimeout all of them. The latter is less than
	// the 30 s for which auth takes a refresh token again that was used: an answer that got lost can be had again only then.
	attemptTimeout = 5 * time.Second
	refreshTimeout = 25 * time.Second
)

// source is where access tokens come from.
type source interface {
	// token returns a token that is good for a while, and not the stale one, which the platform did not take. It is empty
	// where there is no other.
	token(ctx context.Context, stale config.Secret) (config.Secret, error)
	// any tells whether there is one.
	any() bool
}

// fixed is a token that cannot be renewed.
type fixed config.Secret

func (f fixed) any() bool { return true }

func (f fixed) token(_ context.Context, stale config.Secret) (config.Secret, error) {
	if stale == config.Secret(f) {
		return "", nil
	}
	return config.Secret(f), nil
}

// kept are the tokens of a profile. Of all commands that run at once one refreshes, and the others take what it got: they
// wait for the profile's lock. So no refresh token is used twice.
type kept struct {
	store   *profile.Store
	name    string
	gateway string
	refresh func(context.Context, config.Secret) (profile.Tokens, error)
}

func (k *kept) load() (*profile.Profile, error) {
	p, err := k.store.Load(k.name)
	if err == nil && p.Gateway != k.gateway {
		return &profile.Profile{Name: k.name}, nil
	}
	return p, err
}

func (k *kept) any() bool {
	p, err := k.load()
	return err == nil && p.Tokens.SignedIn()
}

func good(t profile.Tokens, stale config.Secret) bool {
	return t.Access != "" && t.Access != stale && time.Now().Add(early).Before(t.ExpiresAt)
}

func (k *kept) token(ctx context.Context, stale config.Secret) (config.Secret, error) {
	p, err := k.load()
	if err != nil {
		return "", err
	}
	if !p.Tokens.SignedIn() {
		return "", notSignedIn(k.name, k.gateway)
	}
	if good(p.Tokens, stale) {
		return p.Tokens.Access, nil
	}
	return k.renew(ctx, stale)
}

// renew refreshes. Once the request may have been sent, neither Ctrl-C nor the end of ctx keeps its answer from being
// stored: the refresh token that is stored would be one that was used.
func (k *kept) renew(ctx context.Context, stale config.Secret) (config.Secret, error) {
	var token config.Secret
	var verdict error
	interrupted := make(chan os.Signal, 1)
	err := k.store.Update(ctx, k.name, func(p *profile.Profile) error {
		switch {
		case !p.Tokens.SignedIn() || p.Gateway != k.gateway:
			return notSignedIn(k.name, k.gateway)
		case good(p.Tokens, stale): // another command was faster
			token = p.Tokens.Access
			return nil
		}
		signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		tokens, err := k.retry(context.WithoutCancel(ctx), p.Tokens.Refresh)
		if connect.CodeOf(err) == connect.CodeUnauthenticated {
			p.Tokens = profile.Tokens{} // they are good for nothing any more
			verdict = err
			return nil
		}
		if err != nil {
			return err
		}
		p.Tokens, token = tokens, tokens.Access
		return nil
	})
	signal.Stop(interrupted)
	select {
	case <-interrupted:
		return "", exit.With(exit.Interrupted, errors.New("interrupted"))
	default:
		return token, errors.Join(err, verdict)
	}
}

// retry refreshes until there is an answer.
func (k *kept) retry(ctx context.Context, refresh config.Secret) (profile.Tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	return backoff.Retry(ctx, func() (profile.Tokens, error) {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		tokens, err := k.refresh(attempt, refresh)
		switch connect.CodeOf(err) {
		case connect.CodeUnauthenticated, connect.CodeInvalidArgument, connect.CodeUnimplemented, connect.CodePermissionDenied:
			return tokens, backoff.Permanent(err)
		default:
			return tokens, err
		}
	}, backoff.WithMaxElapsedTime(refreshTimeout))
}
