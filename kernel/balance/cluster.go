package balance

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ashlar.dev/kernel/discovery"
)

// cluster is a service with its endpoints.
type cluster struct {
	service string
	watch   *discovery.Watch[[]discovery.Instance]
	latest  atomic.Pointer[view]
	gone    func(address string)
	now     func() time.Duration
	budget  budget
	counts  counts
	mu      sync.Mutex // one rebuild at a time
}

// view is what discovery shows at one time. It does not change; its endpoints live on in the next one.
type view struct {
	known     bool
	changed   <-chan struct{} // tells which value of the watch this is
	endpoints []*endpoint
}

func newCluster(service string, watch *discovery.Watch[[]discovery.Instance], gone func(address string), now func() time.Duration) *cluster {
	return &cluster{service: service, watch: watch, gone: gone, now: now}
}

// view returns what discovery shows now. The first time it waits for that, up to limit.
func (c *cluster) view(ctx context.Context, limit time.Duration) (*view, error) {
	v := c.current()
	if v.known {
		return v, nil
	}
	waitCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := c.watch.Wait(waitCtx, nil); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Error{Service: c.service, Reason: ErrNoInstance, Cause: errors.New("discovery has not answered yet")}
	}
	return c.current(), nil
}

// current returns what discovery shows now, without waiting.
func (c *cluster) current() *view {
	_, _, changed := c.watch.Get()
	if v := c.latest.Load(); v != nil && v.changed == changed {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	instances, known, changed := c.watch.Get()
	old := c.latest.Load()
	if old != nil && old.changed == changed {
		return old
	}
	type key struct{ id, address string }
	kept := make(map[key]*endpoint)
	if old != nil {
		for _, e := range old.endpoints {
			kept[key{e.id, e.address}] = e
		}
	}
	next := &view{known: known, changed: changed, endpoints: make([]*endpoint, 0, len(instances))}
	for _, i := range instances {
		e := kept[key{i.ID, i.Address}]
		if e == nil {
			e = &endpoint{id: i.ID, address: i.Address}
			if old != nil && len(old.endpoints) > 0 { // where there are others that can do the work meanwhile
				e.warm.Store(int64(c.now() + slowStart))
			}
		}
		delete(kept, key{i.ID, i.Address})
		next.endpoints = append(next.endpoints, e)
	}
	c.latest.Store(next)
	if c.gone != nil {
		for _, e := range kept {
			c.gone(e.address)
		}
	}
	return next
}

// draws is how many pairs are drawn before all endpoints are looked at, which happens when many are in probation.
const draws = 3

// pick returns the endpoint for a request, nil if all have been tried or enough of them.
func (v *view) pick(now time.Duration, tried *tried) *endpoint {
	n := uint64(len(v.endpoints))
	if n == 0 || tried.count == maxTries {
		return nil
	}
	if n > 1 {
		for range draws {
			random := rand.Uint64() //nolint:gosec // spreads load, keeps no secret
			i := (random >> 32) * n >> 32
			j := (random & (1<<32 - 1)) * (n - 1) >> 32
			if j >= i { // one of the others
				j++
			}
			a, b := v.eligible(i, now, tried), v.eligible(j, now, tried)
			if a != nil && b != nil {
				// The lower bits of the same number have nothing to do with the choice among few.
				lot := random % 100
				if a.warming(now, lot) {
					a = nil
				} else if b.warming(now, lot) {
					b = nil
				}
			}
			e := better(a, b)
			if e != nil && e.claim(now) {
				return e
			}
		}
	}
	start := rand.Uint64N(n) //nolint:gosec // as above
	for {
		var e *endpoint
		for k := range n {
			e = better(e, v.eligible((start+k)%n, now, tried))
		}
		if e == nil {
			break
		}
		if e.claim(now) {
			return e
		}
	}
	// All that are left are in probation: better one of those than none.
	var e *endpoint
	for k := range n {
		if left := v.endpoints[(start+k)%n]; !tried.has(left) {
			e = better(e, left)
		}
	}
	return e
}

// mayEject tells whether an endpoint may be put into probation though it can be dialed: never more than half of them are,
// because then what is wrong is likely not theirs. One that has yet to prove that it is back counts, too.
func (v *view) mayEject(e *endpoint) bool {
	out := 1
	for _, other := range v.endpoints {
		if other != e && other.until.Load() != 0 {
			out++
		}
	}
	return 2*out <= len(v.endpoints)
}

// broke notes that a request broke at an endpoint, which is then passed over for a while if it happens again and again.
func (c *cluster) broke(e *endpoint, began time.Duration) {
	c.counts.broken.Add(1)
	now := c.now()
	if e.broke(now) && c.current().mayEject(e) && e.failed(began, now) {
		c.counts.ejections.Add(1)
	}
}

// failed notes that an endpoint could not be dialed.
func (c *cluster) failed(e *endpoint, began time.Duration) {
	c.counts.unreachable.Add(1)
	if e.failed(began, c.now()) {
		c.counts.ejections.Add(1)
	}
}

// eligible returns endpoint i, or nil if it was tried or is in probation.
func (v *view) eligible(i uint64, now time.Duration, tried *tried) *endpoint {
	if e := v.endpoints[i]; e.ready(now) && !tried.has(e) {
		return e
	}
	return nil
}

// better returns the endpoint with fewer outstanding requests, a if they are equal.
func better(a, b *endpoint) *endpoint {
	switch {
	case a == nil:
		return b
	case b == nil || a.outstanding.Load() <= b.outstanding.Load():
		return a
	default:
		return b
	}
}

// tried holds the endpoints that one request was offered to.
type tried struct {
	endpoints [maxTries]*endpoint
	count     int
	cause     error // of the last
}

func (t *tried) add(e *endpoint) {
	t.endpoints[t.count] = e
	t.count++
}

func (t *tried) has(e *endpoint) bool {
	return slices.Contains(t.endpoints[:t.count], e)
}

// failure is the error of a request for which no endpoint is left.
func (t *tried) failure(service string) *Error {
	if t.count == 0 {
		return &Error{Service: service, Reason: ErrNoInstance}
	}
	return &Error{Service: service, Tried: t.count, Reason: ErrUnreachable, Cause: t.cause}
}
