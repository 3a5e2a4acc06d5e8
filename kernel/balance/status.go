package balance

import (
	"sync/atomic"
	"time"
)

// Status is what is known of an instance. Times are from now; 0: that does not hold.
type Status struct {
	ID, Address string
	// Outstanding is how many requests are under way.
	Outstanding int64
	// Probation is how long it is passed over. Probing: it has been, and one request finds out whether it is back.
	Probation time.Duration
	Probing   bool
	// SlowStart is how long it gets less than its share.
	SlowStart time.Duration
	// Failures is how often in a row it was put into probation.
	Failures int
}

// Instances returns what is known of the instances of a service; nil where it has not been called yet. Requests do not wait
// for it.
func (t *Transport) Instances(service string) []Status {
	known, found := t.clusters.Load(service)
	if !found {
		return nil
	}
	c, _ := known.(*cluster) // nothing else is stored
	now := t.now()
	endpoints := c.current().endpoints
	out := make([]Status, len(endpoints))
	for i, e := range endpoints {
		out[i] = e.status(now)
	}
	return out
}

func (e *endpoint) status(now time.Duration) Status {
	until, warm := time.Duration(e.until.Load()), time.Duration(e.warm.Load())
	e.mu.Lock()
	resumes, failures := e.resumes, e.failures
	e.mu.Unlock()
	s := Status{ID: e.id, Address: e.address, Outstanding: e.outstanding.Load(), Failures: failures, SlowStart: max(warm-now, 0)}
	if until != 0 {
		s.Probation, s.Probing = max(resumes-now, 0), resumes <= now
	}
	return s
}

// Counts is what has happened to requests since the start.
type Counts struct {
	// Attempts are requests that were offered to an instance, each time anew.
	Attempts uint64
	// Unreachable and Broken are attempts that failed: nothing was sent, or what was sent broke.
	Unreachable, Broken uint64
	// Ejections are how often an instance was put into probation.
	Ejections uint64
	// Retried and Denied are how often the budget had, and had not, room for a retry.
	Retried, Denied uint64
}

// counts is Counts as they grow.
type counts struct{ attempts, unreachable, broken, ejections, retried, denied atomic.Uint64 }

// Counts calls f for each service that has been called.
func (t *Transport) Counts(f func(service string, counts Counts)) {
	t.clusters.Range(func(_, value any) bool {
		c, _ := value.(*cluster) // nothing else is stored
		n := &c.counts
		f(c.service, Counts{
			Attempts: n.attempts.Load(), Unreachable: n.unreachable.Load(), Broken: n.broken.Load(),
			Ejections: n.ejections.Load(), Retried: n.retried.Load(), Denied: n.denied.Load(),
		})
		return true
	})
}
