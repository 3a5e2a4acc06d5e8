package limit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"ashlar.dev/gateway/internal/routes"
)

var site = Address(netip.MustParseAddr("192.0.2.1"))

// Accounts cost nothing, so all at one address have a limit together.
func TestAccountsDoNotMultiplyTheLimit(t *testing.T) {
	now := time.Hour
	for name, c := range map[string]struct {
		standard routes.Limit
		own      []routes.Quota
	}{
		"of the gateway": {standard: routes.Limit{PerSecond: 1, Burst: 2}},
		"of a service":   {own: notes(1, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			l := limiter(c.standard)
			l.now = func() time.Duration { return now }
			admitted := 0
			for i := range 100 {
				if _, ok := take(l, Principal(fmt.Sprint("usr_", i)), site, c.own); ok {
					admitted++
				}
			}
			assert.Equal(t, 2*Crowd, admitted)
			late := Principal("usr_99")
			wait, ok := take(l, late, site, c.own)
			assert.False(t, ok)
			assert.Equal(t, 100*time.Millisecond, wait)
			for range 2 {
				_, ok = take(l, late, Address(netip.MustParseAddr("192.0.2.2")), c.own)
				assert.True(t, ok, "nothing was taken of his own where the address had none left")
			}
			_, ok = take(l, site, site, c.own)
			assert.True(t, ok, "who has not signed in has his own bucket")
		})
	}
}

func TestBucketsFillAgain(t *testing.T) {
	now := time.Hour
	l := limiter(routes.Limit{PerSecond: 2, Burst: 3})
	l.now = func() time.Duration { return now }
	me := Principal("usr_1")
	for range 3 {
		_, ok := take(l, me, site, nil)
		assert.True(t, ok)
	}
	wait, ok := take(l, me, site, nil)
	assert.False(t, ok)
	assert.Equal(t, 500*time.Millisecond, wait)
	_, ok = take(l, Principal("usr_2"), site, nil)
	assert.True(t, ok)
	now += wait
	_, ok = take(l, me, site, nil)
	assert.True(t, ok)
}

func TestRefusedByTheServiceCostsNothingElsewhere(t *testing.T) {
	now := time.Hour
	l := limiter(routes.Limit{PerSecond: 1, Burst: 2})
	l.now = func() time.Duration { return now }
	me, own := Principal("usr_1"), notes(0.1, 1)
	_, ok := take(l, me, site, own)
	assert.True(t, ok)
	for range 5 {
		wait, ok := take(l, me, site, own)
		assert.False(t, ok)
		assert.Equal(t, 10*time.Second, wait)
	}
	_, ok = take(l, me, site, nil)
	assert.True(t, ok)
	_, ok = take(l, me, site, nil)
	assert.False(t, ok)
}

func TestNoLimit(t *testing.T) {
	l := limiter(routes.Limit{})
	for range 1000 {
		_, ok := take(l, Principal("usr_1"), site, nil)
		assert.True(t, ok)
	}
}

func TestAddresses(t *testing.T) {
	address := func(s string) Caller { return Address(netip.MustParseAddr(s)) }
	assert.Equal(t, address("10.0.0.1"), address("::ffff:10.0.0.1"))
	assert.NotEqual(t, address("10.0.0.1"), address("10.0.0.2"))
	assert.Equal(t, address("2001:db8::1"), address("2001:db8::2%eth0"))
	assert.NotEqual(t, address("2001:db8::1"), address("2001:db8:0:1::1"))
	assert.Equal(t, Caller{}, Address(netip.Addr{}))
}

func TestBurstHoldsForManyAtOnce(t *testing.T) {
	l := limiter(routes.Limit{PerSecond: 0.001, Burst: 50})
	var admitted atomic.Int64
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			for range 20 {
				if _, ok := take(l, Principal("usr_1"), site, nil); ok {
					admitted.Add(1)
				}
			}
		})
	}
	running.Wait()
	assert.Equal(t, int64(50), admitted.Load())
}

// take tells how long to wait, and whether not at all.
func take(l *Limiter, caller, site Caller, quotas []routes.Quota) (time.Duration, bool) {
	d := l.Take(caller, site, quotas)
	return d.Wait, d.Wait == 0
}

// notes is the quota of a service.
func notes(perSecond float64, burst int) []routes.Quota {
	return []routes.Quota{{Of: "notes", Limit: routes.Limit{PerSecond: perSecond, Burst: burst}}}
}

func limiter(standard routes.Limit) *Limiter {
	l := New()
	l.SetStandard(standard)
	return l
}

func TestTheNearestLimitIsTold(t *testing.T) {
	now := time.Hour
	l := limiter(routes.Limit{PerSecond: 10, Burst: 20})
	l.now = func() time.Duration { return now }
	me := Principal("usr_1")
	d := l.Take(me, site, nil)
	assert.Equal(t, Decision{Quota: routes.Quota{Limit: routes.Limit{PerSecond: 10, Burst: 20}}, Window: 2 * time.Second, Left: 19, Full: 100 * time.Millisecond}, d)
	d = l.Take(me, site, notes(1, 2))
	assert.Equal(t, "notes", d.Quota.Of, "one of two is nearer to the end than 18 of 20")
	assert.Equal(t, 1, d.Left)
	assert.Equal(t, time.Second, d.Full)
	for i := range 9 {
		assert.Zero(t, l.Take(Principal(fmt.Sprint("usr_", i+2)), site, notes(1, 2)).Wait)
	}
	d = l.Take(Principal("usr_99"), site, notes(1, 2))
	assert.Zero(t, d.Wait)
	assert.True(t, d.ByAddress, "9 of 20 at the address are nearer than 1 of 2")
	assert.Equal(t, 9, d.Left)
	assert.False(t, limiter(routes.Limit{}).Take(me, site, nil).Limited())
}

func TestLimitsOfAnySize(t *testing.T) {
	for _, limit := range []routes.Limit{
		{PerSecond: 1e-12, Burst: 1}, {PerSecond: 1e-12, Burst: 1<<32 - 1}, {PerSecond: 4e9, Burst: 1<<32 - 1}, {PerSecond: 1e300, Burst: 1},
	} {
		l := limiter(limit)
		d := l.Take(Principal("usr_1"), site, nil)
		assert.Zero(t, d.Wait, "%v", limit)
		assert.GreaterOrEqual(t, d.Full, time.Duration(0), "%v", limit)
		d = l.Take(Principal("usr_1"), site, nil)
		assert.True(t, d.Wait >= 0 && d.Wait <= longest, "%v: %v", limit, d.Wait)
	}
}

// What is not asked any more is forgotten, and never more than a bound is kept.
func TestForgetting(t *testing.T) {
	b := newBuckets(2 * 64 * 10)
	r := rateOf(routes.Limit{PerSecond: 0.001, Burst: 1})
	_, wait := b.take(7, r, 0)
	assert.Zero(t, wait)
	for i := range uint64(100_000) {
		b.take(i*64+7, r, 0) // the same shard
		if i%5 == 0 {
			_, wait = b.take(7, r, 0)
			assert.NotZero(t, wait, "who goes on asking is not forgotten")
		}
	}
	s := b.of(7)
	assert.LessOrEqual(t, len(s.young)+len(s.old), 20)
	_, wait = b.take(7+64, r, 0)
	assert.Zero(t, wait, "who has not asked for long is")
}

// The average of many requests is the rate, whatever their pattern.
func TestRateHolds(t *testing.T) {
	var now time.Duration
	l := limiter(routes.Limit{PerSecond: 50, Burst: 10})
	l.now = func() time.Duration { return now }
	random := rand.New(rand.NewPCG(1, 2))
	admitted := 0
	for now < 100*time.Second {
		now += time.Duration(random.Int64N(int64(4 * time.Millisecond)))
		if l.Take(Principal("usr_1"), site, nil).Wait == 0 {
			admitted++
		}
	}
	assert.InDelta(t, 10+50*100, admitted, 2)
}

func BenchmarkTake(b *testing.B) {
	l := limiter(routes.Limit{PerSecond: 1e6, Burst: 1e6})
	callers := make([]Caller, 1<<16)
	for i := range callers {
		callers[i] = Principal(fmt.Sprint("usr_", i))
	}
	quotas := notes(1e6, 1e6)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l.Take(callers[i&(1<<16-1)], site, quotas)
		}
	})
}

// BenchmarkMemory tells what a bucket weighs where there are as many as are kept.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		all := newBuckets(maxBuckets)
		for i := range uint64(2 * maxBuckets) {
			all.take(mix(i, 1), rate{interval: 1, window: 1}, 0)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		runtime.KeepAlive(all)
	}
}
