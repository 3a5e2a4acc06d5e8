// Package health tells whether a process is alive and whether it can serve: over HTTP (/healthz, /readyz) and as
// grpc.health.v1.
package health

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Status knows what a process still waits for. The zero value is not ready. It is safe for concurrent use.
type Status struct {
	mu      sync.Mutex
	ready   bool
	ended   bool
	waiting map[string]string
	changed chan struct{}
}

// NewStatus returns the status of a process that is starting.
func NewStatus() *Status {
	return &Status{waiting: map[string]string{}, changed: make(chan struct{})}
}

// SetReady says whether the process has started and does not stop yet.
func (s *Status) SetReady(ready bool) {
	s.update(func() { s.ready = ready })
}

// Stop says that the process is about to stop: it is not ready, and will not be again.
func (s *Status) Stop() {
	s.update(func() { s.ready, s.ended = false, true })
}

func (s *Status) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Wait notes that a component waits for something, for people to read; an empty reason takes the note away. A process
// with such a note is not ready.
func (s *Status) Wait(component, reason string) {
	s.update(func() {
		if reason == "" {
			delete(s.waiting, component)
		} else {
			s.waiting[component] = reason
		}
	})
}

func (s *Status) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Ready tells whether the process can serve; if not, why. The channel is closed at the next change.
func (s *Status) Ready() (ready bool, why string, changed <-chan struct{}) { return s.without(nil) }

// without is Ready, whatever some components wait for.
func (s *Status) without(excluded []string) (ready bool, why string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reasons []string
	for _, component := range slices.Sorted(maps.Keys(s.waiting)) {
		if slices.Contains(excluded, component) {
			continue
		}
		reasons = append(reasons, component+": "+s.waiting[component])
	}
	if !s.ready {
		reasons = append(reasons, "starting or stopping")
	}
	return len(reasons) == 0, strings.Join(reasons, "; "), s.changed
}

// Mount serves /healthz, which answers 200 as long as the process runs, and /readyz, which answers 200 while it can
// serve and otherwise 503 with what it waits for. Each exclude=COMPONENT in its query leaves a component out of account.
func (s *Status) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ready, why, _ := s.without(r.URL.Query()["exclude"])
		if !ready {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
}
