// Package limit bounds how often one caller may ask. It knows callers by an address or an id, and nothing of requests.
package limit

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"

	"ashlar.dev/gateway/internal/routes"
)

// Crowd is how many times a caller's limit all the people at one address have together: enough for an office behind one
// address, and not what somebody gets who makes himself accounts.
const Crowd = 10

// Limiter holds a bucket per caller, and one more per caller and quota; and larger ones of the same kind for all the
// people at an address. It is safe for concurrent use.
type Limiter struct {
	standard atomic.Pointer[routes.Limit]
	buckets  buckets
	sharing  *Sharing // nil: buckets are this process's own
	seed     maphash.Seed
	now      func() time.Duration
}

// New returns a limiter without a standard limit.
func New() *Limiter {
	begun := time.Now()
	l := &Limiter{buckets: newBuckets(maxBuckets), seed: maphash.MakeSeed(), now: func() time.Duration { return time.Since(begun) }}
	l.SetStandard(routes.Limit{})
	return l
}

// SetStandard sets the limit that holds for all that a caller asks; one of zero requests a second is none. Where it
// changes, everybody begins with full buckets.
func (l *Limiter) SetStandard(standard routes.Limit) { l.standard.Store(&standard) }

// Decision says whether a request may go on, and how things stand with the bucket that is nearest to its end.
type Decision struct {
	// Wait is how long the caller has to wait; 0 where the request may go on.
	Wait time.Duration
	// Quota is what the bucket is of.
	Quota routes.Quota
	// ByAddress says that the bucket is that of all the people at the address.
	ByAddress bool
	// Window is the time in which an empty bucket becomes full. Without any limit, this and what follows are 0.
	Window time.Duration
	// Left is how many requests more there are in it, and Full when all will be there again.
	Left int
	Full time.Duration
}

// Limited tells whether there is any limit.
func (d Decision) Limited() bool { return d.Quota.Burst > 0 }

// share is what is left, of what there could be.
func (d Decision) share() float64 { return float64(d.Left) / float64(d.Quota.Burst) }

// Hash is the same for the same caller as long as the limiter lives, and cannot be foreseen by anybody.
func (l *Limiter) Hash(caller Caller) uint64 { return caller.hash(l.seed) }

// maxQuotas is of how many quotas one request can be: that of the gateway, of the service and of the procedure, each of
// the caller and of all at the address.
const maxQuotas = 6

// charge is one bucket that a request is taken from.
type charge struct {
	key       uint64
	quota     routes.Quota
	rate      rate
	byAddress bool // it is that of all the people there
}

// Take takes one request of what a caller has left, in total and of each quota; and, where the caller is not just
// somebody at site, of what all the people there have left. Where nothing is left in one of the buckets, nothing is taken.
func (l *Limiter) Take(caller, site Caller, quotas []routes.Quota) Decision {
	var room [maxQuotas]charge
	charges := l.charges(room[:0], caller, site, quotas)
	now := l.now()
	var decision Decision
	for i := range charges {
		c := &charges[i]
		full, wait := l.buckets.take(c.key, c.rate, now)
		here := Decision{Wait: wait, Quota: c.quota, ByAddress: c.byAddress, Window: c.rate.window, Left: c.rate.left(full, now), Full: full - now}
		if wait > 0 {
			for _, taken := range charges[:i] {
				l.buckets.giveBack(taken.key, taken.rate)
			}
			return here
		}
		if i == 0 || here.share() < decision.share() {
			decision = here
		}
	}
	if l.sharing != nil {
		for i := range charges {
			of := caller
			if charges[i].byAddress {
				of = site
			}
			l.sharing.note(of, &charges[i], now)
		}
	}
	return decision
}

// charges appends the buckets that a request is taken from.
func (l *Limiter) charges(to []charge, caller, site Caller, quotas []routes.Quota) []charge {
	own, all := caller.hash(l.seed), uint64(0)
	if caller != site {
		all = site.hash(l.seed)
	}
	add := func(q routes.Quota) {
		to = append(to, l.charge(own, q))
		if caller != site {
			c := l.charge(all, crowd(q))
			c.byAddress = true
			to = append(to, c)
		}
	}
	if standard := *l.standard.Load(); standard.PerSecond > 0 {
		add(routes.Quota{Limit: standard})
	}
	for _, q := range quotas {
		add(q)
	}
	return to
}

// charge returns the bucket of a caller and a quota. One that a manifest changes gets new buckets.
func (l *Limiter) charge(caller uint64, q routes.Quota) charge {
	r := rateOf(q.Limit)
	of := maphash.String(l.seed, q.Of) + uint64(r.interval)*prime + uint64(r.window)
	return charge{key: mix(caller, of), quota: q, rate: r}
}

const prime = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio

// mix makes one number of two that nobody knows; that two pairs of a million get the same one is as good as impossible.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^prime, b^bits.RotateLeft64(prime, 32))
	return high ^ low
}

func crowd(one routes.Quota) routes.Quota {
	one.PerSecond *= Crowd
	one.Burst *= Crowd
	return one
}
