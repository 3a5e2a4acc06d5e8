package discovery

import (
	"context"
	"sync"
	"sync/atomic"
)

// Watch is a value that changes. It always holds the last good value: when its source fails, that one stays. It is safe
// for concurrent use, and Get takes no lock and allocates nothing, so it may be called for every request.
//
// Values are shared by all that look, so they must not be changed.
type Watch[T any] struct {
	state atomic.Pointer[state[T]]
}

type state[T any] struct {
	value   T
	known   bool
	changed chan struct{}
}

// Get returns the value as it is now. known is false until the source has given a first value. changed is closed when
// there is a newer value than the one returned; the same value always comes with the same channel.
func (w *Watch[T]) Get() (value T, known bool, changed <-chan struct{}) {
	s := w.state.Load()
	return s.value, s.known, s.changed
}

// Wait returns the first known value that satisfies ok, looking at the present one first; a nil ok takes any. Values that
// follow each other faster than ok runs may be skipped, the newest never is. If ctx ends first, Wait returns
// ctx.Err() and the value as it is then.
func (w *Watch[T]) Wait(ctx context.Context, ok func(T) bool) (T, error) {
	for {
		value, known, changed := w.Get()
		if known && (ok == nil || ok(value)) {
			return value, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return value, ctx.Err()
		}
	}
}

// Source is the writing side of a Watch, for those who implement a Directory. It is safe for concurrent use.
type Source[T any] struct {
	watch Watch[T]
	mu    sync.Mutex // one Set at a time
	same  func(a, b T) bool
}

// NewSource returns a source whose watch knows no value yet. A value that is the same as the one before wakes nobody; a nil
// same means that no two values are.
func NewSource[T any](same func(a, b T) bool) *Source[T] {
	s := &Source[T]{same: same}
	s.watch.state.Store(&state[T]{changed: make(chan struct{})})
	return s
}

// Watch returns the reading side, the same one each time.
func (s *Source[T]) Watch() *Watch[T] { return &s.watch }

// Set makes value the present one and reports whether that changed anything. The source must not change value afterwards.
func (s *Source[T]) Set(value T) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.watch.state.Load()
	if old.known && s.same != nil && s.same(old.value, value) {
		return false
	}
	s.watch.state.Store(&state[T]{value: value, known: true, changed: make(chan struct{})})
	close(old.changed)
	return true
}
