package balance

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// draws is how many pairs are drawn before all endpoints are looked at, which happens when many are in probation.
	draws = 3
	// busy is how many requests an instance of the own zone must have outstanding before one elsewhere may be better.
	busy = 4
)

// Versions says which instances can serve a request. It is not changed once it is in use.
type Versions struct {
	// Names are versions as discovery calls them.
	Names []string
	// Only says that no others can: of these instances get the request whatever their weights, and nobody else does. Without
	// it, others do where no instance of these is there: nobody knows of them that they cannot.
	Only bool
}

type versionsKey struct{}

// WithVersions returns a context whose requests go to instances of these versions; nil: to all.
func WithVersions(ctx context.Context, versions *Versions) context.Context {
	if versions == nil {
		return ctx
	}
	return context.WithValue(ctx, versionsKey{}, versions)
}

func versionsOf(ctx context.Context) *Versions {
	versions, _ := ctx.Value(versionsKey{}).(*Versions)
	return versions
}

// tried holds the endpoints that one request was offered to, and what it asks of them.
type tried struct {
	versions  *Versions // nil: any
	endpoints [maxTries]*endpoint
	count     int
	cause     error // of the last
}

func (t *tried) add(e *endpoint) {
	t.endpoints[t.count] = e
	t.count++
}

// wants tells whether e may get the request, in general and once more.
func (t *tried) wants(e *endpoint) bool {
	if slices.Contains(t.endpoints[:t.count], e) {
		return false
	}
	if t.versions != nil && !slices.Contains(t.versions.Names, e.version) {
		return false
	}
	return e.weight > 0 || t.only()
}

// only tells whether the request has to go to certain versions.
func (t *tried) only() bool { return t.versions != nil && t.versions.Only }

// failure is the error of a request for which no endpoint is left.
func (t *tried) failure(service string) *Error {
	if t.count == 0 {
		return &Error{Service: service, Reason: ErrNoInstance}
	}
	return &Error{Service: service, Tried: t.count, Reason: ErrUnreachable, Cause: t.cause}
}

// pick returns the endpoint for a request, nil if all have been tried or enough of them.
func (v *view) pick(now time.Duration, tried *tried) *endpoint {
	if len(v.endpoints) == 0 || tried.count == maxTries {
		return nil
	}
	e := v.pickWanted(now, tried)
	if e == nil && tried.count == 0 && tried.versions != nil && !tried.versions.Only {
		tried.versions = nil // there is none of these
		e = v.pickWanted(now, tried)
	}
	return e
}

// pickWanted returns one that the request asks for, if there is one.
func (v *view) pickWanted(now time.Duration, tried *tried) *endpoint {
	n := uint64(len(v.endpoints))
	if n > 1 && !tried.only() {
		if e := v.group().pick(now, tried); e != nil {
			return e
		}
	}
	start := rand.Uint64N(n) //nolint:gosec // spreads load, keeps no secret
	for {
		var e *endpoint
		for k := range n {
			e = better(e, eligible(v.endpoints[(start+k)%n], now, tried))
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
		if left := v.endpoints[(start+k)%n]; tried.wants(left) {
			e = better(e, left)
		}
	}
	return e
}

// pick returns one that is claimed; nil where none was found in a few draws.
func (g *group) pick(now time.Duration, tried *tried) *endpoint {
	near := draw(g.near, now, tried)
	if near == nil || len(g.far) == 0 || near.outstanding.Load() < busy {
		if near == nil {
			near = draw(g.far, now, tried)
		}
		if near != nil && near.claim(now) {
			return near
		}
		return nil
	}
	// A zone with few instances and many callers: what is twice as busy as another zone gives away.
	if far := draw(g.far, now, tried); far != nil && 2*far.outstanding.Load() < near.outstanding.Load() {
		near = far
	}
	if near.claim(now) {
		return near
	}
	return nil
}

// draw takes two at random, and returns the one with fewer outstanding requests; nil where none was found in a few draws.
func draw(endpoints []*endpoint, now time.Duration, tried *tried) *endpoint {
	n := uint64(len(endpoints))
	switch n {
	case 0:
		return nil
	case 1:
		return eligible(endpoints[0], now, tried)
	}
	for range draws {
		random := rand.Uint64() //nolint:gosec // spreads load, keeps no secret
		i := (random >> 32) * n >> 32
		j := (random & (1<<32 - 1)) * (n - 1) >> 32
		if j >= i { // one of the others
			j++
		}
		a, b := eligible(endpoints[i], now, tried), eligible(endpoints[j], now, tried)
		if a != nil && b != nil {
			// The lower bits of the same number have nothing to do with the choice among few.
			lot := random % 100
			if a.warming(now, lot) {
				a = nil
			} else if b.warming(now, lot) {
				b = nil
			}
		}
		if e := better(a, b); e != nil {
			return e
		}
	}
	return nil
}

// eligible returns e, or nil if it may not get the request, or is in probation.
func eligible(e *endpoint, now time.Duration, tried *tried) *endpoint {
	if e.ready(now) && tried.wants(e) {
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
