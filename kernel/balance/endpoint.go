package balance

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstProbation = 500 * time.Millisecond
	maxProbation   = 10 * time.Second
	probeFor       = dialTimeout + 500*time.Millisecond // how long one request is given to find out whether an instance is back
)

// endpoint is an instance with what we know of it. Times are counted as Transport.now does.
type endpoint struct {
	id      string
	address string

	outstanding atomic.Int64
	until       atomic.Int64 // passed over until then; 0: not in probation

	mu       sync.Mutex
	failures int           // in a row, as far as they tell something new
	ejected  time.Duration // when the last probation began
	resumes  time.Duration // when it ends; unlike until, a probe does not move it
}

// ready reports whether e is not to be passed over.
func (e *endpoint) ready(now time.Duration) bool { return int64(now) >= e.until.Load() }

// claim reports whether the caller may send to e, which was ready. After a probation one request goes first.
func (e *endpoint) claim(now time.Duration) bool {
	until := e.until.Load()
	if until == 0 {
		return true
	}
	return int64(now) >= until && e.until.CompareAndSwap(until, int64(now+probeFor))
}

// reached notes that e answered a request that began then. One from before the probation says nothing: its connection may be
// older than the failure.
func (e *endpoint) reached(began time.Duration) {
	if e.until.Load() == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if began < e.ejected {
		return
	}
	e.failures, e.resumes = 0, 0
	e.until.Store(0)
}

// failed notes that e could not be dialed for a request that began then. Requests that fail together count as one.
func (e *endpoint) failed(began, now time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now < e.resumes || e.failures > 0 && began < e.ejected {
		return
	}
	e.failures++
	e.ejected = now
	e.resumes = now + probation(e.failures)
	e.until.Store(int64(e.resumes))
}

// probation doubles with each failure, and differs by up to a quarter, so that callers do not probe in step.
func probation(failures int) time.Duration {
	d := maxProbation
	if shift := failures - 1; shift < 16 {
		d = min(firstProbation<<shift, maxProbation)
	}
	return d*3/4 + rand.N(d/2) //nolint:gosec // jitter, keeps no secret
}
