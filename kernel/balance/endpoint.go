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

	// maxStrikes is how many requests in a row may break before an instance is put into probation.
	maxStrikes = 3
	// An instance at which at least minBroken requests, and half of all, broke within errorWindow is put into probation, too.
	errorWindow = 10 * time.Second
	minBroken   = 5

	// slowStart is how long an instance that is new, or back, gets less than its share: it has caches to fill.
	slowStart = 5 * time.Second
	// leastShare is what it gets at first, of 100.
	leastShare = 10
)

// endpoint is an instance with what we know of it. Times are counted as Transport.now does.
type endpoint struct {
	place

	outstanding atomic.Int64
	until       atomic.Int64 // passed over until then; 0: not in probation
	warm        atomic.Int64 // when slow start ends; 0: it never was in it
	strikes     atomic.Int32 // requests in a row that broke
	asked       atomic.Int64 // requests that ended in the window

	mu       sync.Mutex
	failures int           // in a row, as far as they tell something new
	ejected  time.Duration // when the last probation began
	resumes  time.Duration // when it ends; unlike until, a probe does not move it
	window   time.Duration // when the window began
	broken   int64         // requests that broke in it
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

// warming reports whether e is in slow start and this request, by a number below 100, is not of its share.
func (e *endpoint) warming(now time.Duration, lot uint64) bool {
	warm := time.Duration(e.warm.Load())
	if now >= warm {
		return false
	}
	return lot >= max(leastShare, uint64(100*(slowStart-min(warm-now, slowStart))/slowStart))
}

// reached notes that e answered a request that began then. One from before the probation says nothing: its connection may be
// older than the failure.
func (e *endpoint) reached(began, now time.Duration) {
	e.asked.Add(1)
	if e.strikes.Load() != 0 {
		e.strikes.Store(0)
	}
	if e.until.Load() == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if began < e.ejected {
		return
	}
	e.failures, e.resumes = 0, 0
	e.warm.Store(int64(now + slowStart))
	e.until.Store(0)
}

// broke notes that a request broke which began then and had been sent, and reports whether that is enough for probation.
func (e *endpoint) broke(now time.Duration) bool {
	e.asked.Add(1)
	strikes := e.strikes.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if now-e.window >= errorWindow {
		e.window, e.broken = now, 0
		e.asked.Store(1)
	}
	e.broken++
	// A probe that breaks says that the instance is not back.
	return strikes >= maxStrikes || e.broken >= minBroken && 2*e.broken >= e.asked.Load() || e.until.Load() != 0
}

// failed notes that e could not be dialed for a request that began then, and reports whether that begins a probation:
// requests that fail together count as one.
func (e *endpoint) failed(began, now time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now < e.resumes || e.failures > 0 && began < e.ejected {
		return false
	}
	e.failures++
	e.strikes.Store(0)
	e.broken = 0
	e.ejected = now
	e.resumes = now + probation(e.failures)
	e.until.Store(int64(e.resumes))
	return true
}

// probation doubles with each failure, and differs by up to a quarter, so that callers do not probe in step.
func probation(failures int) time.Duration {
	d := maxProbation
	if shift := failures - 1; shift < 16 {
		d = min(firstProbation<<shift, maxProbation)
	}
	return d*3/4 + rand.N(d/2) //nolint:gosec // jitter, keeps no secret
}
