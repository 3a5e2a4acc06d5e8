// Package limit bounds how often one caller may ask. It knows callers by an address or an id, and nothing of requests.
package limit

import (
	"net/netip"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"ashlar.dev/gateway/internal/routes"
)

// Crowd is how many times a caller's limit all the people at one address have together: enough for an office behind one
// address, and not what somebody gets who makes himself accounts.
const Crowd = 10

// maxBuckets bounds the callers that are remembered: about 20 MB. The one that has been silent longest is forgotten.
const maxBuckets = 100_000

// siteBits is how much of an IPv6 address names a caller: a network of this size is what one customer gets
// (RFC 6177), so that nobody has 2^64 buckets.
const siteBits = 64

// Caller is who asks: a principal's id, or an address where nobody has signed in.
type Caller struct {
	Principal string
	Network   netip.Prefix
}

// Principal returns the caller with an id.
func Principal(id string) Caller { return Caller{Principal: id} }

// Address returns the caller at an address.
func Address(address netip.Addr) Caller {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = siteBits
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return Caller{} // the zero address: all whose address is unknown share a bucket
	}
	return Caller{Network: network}
}

// Limiter holds a token bucket per caller, and one more per caller and service that has a limit of its own; and larger
// ones of the same kind for all the people at an address. It is safe for concurrent use.
type Limiter struct {
	standard atomic.Pointer[routes.Limit]
	buckets  *lru.Cache[key, *rate.Limiter]
	now      func() time.Time
}

type key struct {
	caller  Caller
	service string
	limit   routes.Limit // a manifest that changes its limit gets new buckets
}

// New returns a limiter without a standard limit.
func New() *Limiter {
	buckets, err := lru.New[key, *rate.Limiter](maxBuckets)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	l := &Limiter{buckets: buckets, now: time.Now}
	l.SetStandard(routes.Limit{})
	return l
}

// SetStandard sets the limit that holds for all that a caller asks; one of zero requests a second is none. Where it
// changes, everybody begins with full buckets.
func (l *Limiter) SetStandard(standard routes.Limit) { l.standard.Store(&standard) }

// Take takes one request of what a caller has left, in total and, where own is not nil, of the service; and, where the
// caller is not just somebody at site, of what all the people there have left. It returns how long the caller has to
// wait where nothing is left; nothing is taken then.
func (l *Limiter) Take(caller, site Caller, service string, own *routes.Limit) (wait time.Duration, ok bool) {
	now := l.now()
	var keys [4]key
	asked := l.charged(keys[:0], caller, site, service, own)
	var taken [len(keys)]*rate.Reservation
	for i, k := range asked {
		if taken[i], wait = take(l.bucket(k), now); wait > 0 {
			for _, reservation := range taken[:i] {
				reservation.CancelAt(now)
			}
			return wait, false
		}
	}
	return 0, true
}

// charged appends the buckets that a request is taken from.
func (l *Limiter) charged(keys []key, caller, site Caller, service string, own *routes.Limit) []key {
	if standard := *l.standard.Load(); standard.PerSecond > 0 {
		keys = append(keys, key{caller: caller, limit: standard})
		if caller != site {
			keys = append(keys, key{caller: site, limit: crowd(standard)})
		}
	}
	if own != nil {
		keys = append(keys, key{caller: caller, service: service, limit: *own})
		if caller != site {
			keys = append(keys, key{caller: site, service: service, limit: crowd(*own)})
		}
	}
	return keys
}

func crowd(one routes.Limit) routes.Limit {
	return routes.Limit{PerSecond: Crowd * one.PerSecond, Burst: Crowd * one.Burst}
}

// take reserves one token, if it can be had at once.
func take(bucket *rate.Limiter, now time.Time) (*rate.Reservation, time.Duration) {
	reservation := bucket.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return reservation, wait
}

func (l *Limiter) bucket(k key) *rate.Limiter {
	if bucket, ok := l.buckets.Get(k); ok {
		return bucket
	}
	fresh := rate.NewLimiter(rate.Limit(k.limit.PerSecond), k.limit.Burst)
	if bucket, ok, _ := l.buckets.PeekOrAdd(k, fresh); ok {
		return bucket
	}
	return fresh
}
