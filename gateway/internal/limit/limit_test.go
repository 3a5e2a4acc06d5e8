package limit

import (
	"fmt"
	"net/netip"
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
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		standard routes.Limit
		own      *routes.Limit
	}{
		"of the gateway": {standard: routes.Limit{PerSecond: 1, Burst: 2}},
		"of a service":   {own: &routes.Limit{PerSecond: 1, Burst: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			l := limiter(c.standard)
			l.now = func() time.Time { return now }
			admitted := 0
			for i := range 100 {
				if _, ok := l.Take(Principal(fmt.Sprint("usr_", i)), site, "notes", c.own); ok {
					admitted++
				}
			}
			assert.Equal(t, 2*Crowd, admitted)
			late := Principal("usr_99")
			wait, ok := l.Take(late, site, "notes", c.own)
			assert.False(t, ok)
			assert.Equal(t, 100*time.Millisecond, wait)
			for range 2 {
				_, ok = l.Take(late, Address(netip.MustParseAddr("192.0.2.2")), "notes", c.own)
				assert.True(t, ok, "nothing was taken of his own where the address had none left")
			}
			_, ok = l.Take(site, site, "notes", c.own)
			assert.True(t, ok, "who has not signed in has his own bucket")
		})
	}
}

func TestBucketsFillAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	l := limiter(routes.Limit{PerSecond: 2, Burst: 3})
	l.now = func() time.Time { return now }
	me := Principal("usr_1")
	for range 3 {
		_, ok := l.Take(me, site, "notes", nil)
		assert.True(t, ok)
	}
	wait, ok := l.Take(me, site, "notes", nil)
	assert.False(t, ok)
	assert.Equal(t, 500*time.Millisecond, wait)
	_, ok = l.Take(Principal("usr_2"), site, "notes", nil)
	assert.True(t, ok)
	now = now.Add(wait)
	_, ok = l.Take(me, site, "notes", nil)
	assert.True(t, ok)
}

func TestRefusedByTheServiceCostsNothingElsewhere(t *testing.T) {
	now := time.Unix(1000, 0)
	l := limiter(routes.Limit{PerSecond: 1, Burst: 2})
	l.now = func() time.Time { return now }
	me, own := Principal("usr_1"), &routes.Limit{PerSecond: 0.1, Burst: 1}
	_, ok := l.Take(me, site, "notes", own)
	assert.True(t, ok)
	for range 5 {
		wait, ok := l.Take(me, site, "notes", own)
		assert.False(t, ok)
		assert.Equal(t, 10*time.Second, wait)
	}
	_, ok = l.Take(me, site, "orders", nil)
	assert.True(t, ok)
	_, ok = l.Take(me, site, "orders", nil)
	assert.False(t, ok)
}

func TestNoLimit(t *testing.T) {
	l := limiter(routes.Limit{})
	for range 1000 {
		_, ok := l.Take(Principal("usr_1"), site, "notes", nil)
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
				if _, ok := l.Take(Principal("usr_1"), site, "", nil); ok {
					admitted.Add(1)
				}
			}
		})
	}
	running.Wait()
	assert.Equal(t, int64(50), admitted.Load())
}

func limiter(standard routes.Limit) *Limiter {
	l := New()
	l.SetStandard(standard)
	return l
}
