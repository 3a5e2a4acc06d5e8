package limit

import (
	"math"
	"time"

	"ashlar.dev/gateway/internal/routes"
)

// longest is the longest time that rates are reckoned with, so that sums of them stay in 64 bits.
const longest = 10 * 365 * 24 * time.Hour

// rate is a limit as the Generic Cell Rate Algorithm has it (ITU-T I.371): a caller's bucket is one time, at which it
// would be full again (the theoretical arrival time). Each request moves it by interval, and it may be at most window
// ahead of now.
type rate struct {
	interval, window time.Duration
	burst            int
}

func rateOf(l routes.Limit) rate {
	interval := max(bounded(float64(time.Second)/l.PerSecond), 1)
	return rate{interval: interval, window: bounded(float64(interval) * float64(l.Burst)), burst: l.Burst}
}

func bounded(nanoseconds float64) time.Duration {
	return time.Duration(min(max(math.Round(nanoseconds), 0), float64(longest)))
}

// take returns where a bucket is after one more request; or how long to wait for it, and then the bucket is as it was.
func (r rate) take(full, now time.Duration) (next, wait time.Duration) {
	next = max(full, now) + r.interval
	if wait = next - r.window - now; wait > 0 {
		return full, wait
	}
	return next, 0
}

// times is how far so many requests move a bucket.
func (r rate) times(requests int) time.Duration {
	return bounded(float64(r.interval) * float64(requests))
}

// left is how many requests more a bucket has.
func (r rate) left(full, now time.Duration) int {
	if full <= now {
		return r.burst
	}
	return int(max(r.window-(full-now), 0) / r.interval)
}
