package balance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ashlar.dev/kernel/discovery"
)

// cluster is a service with its endpoints.
type cluster struct {
	service   string
	transport *Transport
	watch     *discovery.Watch[[]discovery.Instance]
	latest    atomic.Pointer[view]
	budget    budget
	counts    counts
	mu        sync.Mutex // one rebuild at a time
}

// view is what discovery shows at one time. It does not change; its endpoints live on in the next one.
type view struct {
	known     bool
	changed   <-chan struct{} // tells which value of the watch this is
	setting   *map[string]Shares
	endpoints []*endpoint
	groups    []group
}

func newCluster(service string, t *Transport) *cluster {
	return &cluster{service: service, transport: t, watch: t.directory.Instances(service)}
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
	if v := c.latest.Load(); v != nil && v.changed == changed && v.setting == c.transport.shares.Load() {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	instances, known, changed := c.watch.Get()
	shares, setting := c.transport.sharesOf(c.service)
	old := c.latest.Load()
	if old != nil && old.changed == changed && old.setting == setting {
		return old
	}
	kept := make(map[place]*endpoint)
	if old != nil {
		for _, e := range old.endpoints {
			kept[e.place] = e
		}
	}
	next := &view{known: known, changed: changed, setting: setting, endpoints: make([]*endpoint, 0, len(instances))}
	for _, i := range instances {
		at := placeOf(i, shares)
		e := kept[at]
		if e == nil {
			e = &endpoint{place: at}
			if old != nil && len(old.endpoints) > 0 { // where there are others that can do the work meanwhile
				e.warm.Store(int64(c.transport.now() + slowStart))
			}
		}
		delete(kept, at)
		next.endpoints = append(next.endpoints, e)
	}
	next.groups = grouped(next.endpoints, c.transport.zone, shares)
	c.latest.Store(next)
	for _, e := range kept {
		if c.transport.gone != nil && !slices.ContainsFunc(next.endpoints, func(other *endpoint) bool { return other.address == e.address }) {
			c.transport.gone(e.address)
		}
	}
	return next
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
	now := c.transport.now()
	if e.broke(now) && c.current().mayEject(e) && e.failed(began, now) {
		c.counts.ejections.Add(1)
	}
}

// failed notes that an endpoint could not be dialed.
func (c *cluster) failed(e *endpoint, began time.Duration) {
	c.counts.unreachable.Add(1)
	if e.failed(began, c.transport.now()) {
		c.counts.ejections.Add(1)
	}
}
