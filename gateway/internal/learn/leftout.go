package learn

import (
	"slices"
	"sync"
)

// leftOut holds the versions of services that nothing is to go to. It is safe for concurrent use.
type leftOut struct {
	mu       sync.Mutex
	versions map[string][]string // by service
	changed  chan struct{}
}

// of returns those of a service, and what is closed when there may be others.
func (l *leftOut) of(service string) (versions []string, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.versions[service], l.changed
}

// LeaveOut takes versions of services, by service, for not there from now on, and all others as they are. What only those have
// has no route then, and what they ask of callers does not hold.
func (l *Learner) LeaveOut(versions map[string][]string) {
	sorted := make(map[string][]string, len(versions))
	for service, names := range versions {
		sorted[service] = slices.Sorted(slices.Values(names))
	}
	l.leftOut.mu.Lock()
	defer l.leftOut.mu.Unlock()
	l.leftOut.versions = sorted
	close(l.leftOut.changed)
	l.leftOut.changed = make(chan struct{})
}
