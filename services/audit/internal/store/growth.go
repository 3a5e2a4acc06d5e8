package store

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// lookEvery is how often it is looked whether another instance has appended.
const lookEvery = 500 * time.Millisecond

// Grown returns a channel that is closed when the log has grown since Grown was called. What this instance appends is seen
// at once, what others append while a Watcher runs.
func (s *Store) Grown() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}

// wake must be called with the lock.
func (s *Store) wake() {
	close(s.grown)
	s.grown = make(chan struct{})
}

// Watcher looks for what other instances append.
type Watcher struct {
	store *Store
	log   *slog.Logger
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// NewWatcher returns a watcher that does not run yet.
func NewWatcher(s *Store, log *slog.Logger) *Watcher { return &Watcher{store: s, log: log} }

// Start starts it.
func (w *Watcher) Start(ctx context.Context) error {
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.done.Go(func() { w.run(ctx) })
	return nil
}

// Stop ends it.
func (w *Watcher) Stop(context.Context) error {
	w.stop()
	w.done.Wait()
	return nil
}

func (w *Watcher) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last, away := "", false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		signed, err := readHead(ctx, w.store.client.TreeHead)
		if err != nil {
			if ctx.Err() == nil && !away {
				away = true
				w.log.WarnContext(ctx, "cannot look whether the audit log has grown", "error", err)
			}
			continue
		}
		away = false
		if signed != last {
			last = signed
			w.store.stir(signed)
		}
	}
}

// stir wakes those who wait where the log has another end than this instance knows of.
func (s *Store) stir(signed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.signed != signed {
		s.wake()
	}
}
