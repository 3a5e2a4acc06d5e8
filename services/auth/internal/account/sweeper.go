package account

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"ashlar.dev/services/auth/internal/store"
)

const (
	// sweepInterval is how often it is looked for what is left over.
	sweepInterval = 10 * time.Minute
	// pendingAge is how long a sign-up may be pending: much longer than any call lasts.
	pendingAge = time.Hour
	// overAge is how long sessions that are over, and keys that were retired, are kept.
	overAge = 24 * time.Hour
	// sweepBatch bounds what is looked at in one sweep, of each kind.
	sweepBatch = 500
)

// Sweeper deletes what is left over: sign-ups that a crash interrupted, sessions that are over, keys that are retired.
// Several instances may do so at once.
type Sweeper struct {
	people *People
	store  *store.Store
	log    *slog.Logger

	stop context.CancelFunc
	done chan struct{}
}

// NewSweeper returns a sweeper that is not started.
func NewSweeper(people *People, s *store.Store, log *slog.Logger) *Sweeper {
	return &Sweeper{people: people, store: s, log: log}
}

// Start sweeps now and then, on a goroutine of its own, until Stop. The end of ctx does not end it.
func (s *Sweeper) Start(ctx context.Context) error {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan struct{})
	go s.run(ctx)
	return nil
}

// Stop ends a sweep that is under way.
func (s *Sweeper) Stop(ctx context.Context) error {
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sweeper) run(ctx context.Context) {
	defer close(s.done)
	for {
		// Instances that were started together do not sweep together.
		wait := time.NewTimer(sweepInterval/2 + rand.N(sweepInterval)) //nolint:gosec // jitter, no secret
		select {
		case <-wait.C:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot delete what is left over; the next sweep tries again", "error", err)
			}
		case <-ctx.Done():
			wait.Stop()
			return
		}
	}
}

// Sweep looks once.
func (s *Sweeper) Sweep(ctx context.Context) error {
	_, sessions := s.store.DeleteSessions(ctx, overAge, sweepBatch)
	_, keys := s.store.DeleteSigningKeys(ctx, overAge)
	_, apiKeys := s.store.DeleteAPIKeys(ctx, overAge, sweepBatch)
	return errors.Join(sessions, keys, apiKeys, s.sweepPending(ctx))
}

func (s *Sweeper) sweepPending(ctx context.Context) error {
	left, err := s.store.PendingSince(ctx, pendingAge, sweepBatch)
	if err != nil {
		return err
	}
	for _, userID := range left {
		_, err := s.people.ByID(ctx, userID)
		switch {
		case errors.Is(err, ErrNobody):
			err = s.store.DeletePending(ctx, userID)
		case err == nil:
			// The person exists and can still sign up again, with the same password, to complete it.
			err = s.store.Postpone(ctx, userID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
