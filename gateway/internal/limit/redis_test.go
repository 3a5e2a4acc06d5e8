package limit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/limit/redistest"
	"ashlar.dev/gateway/internal/routes"
)

// within bounds what should take milliseconds.
const within = 20 * time.Second

// sharingLimiter is one gateway's.
func sharingLimiter(t *testing.T, url string, limit routes.Limit) *Limiter {
	t.Helper()
	store, err := NewRedis(url)
	require.NoError(t, err)
	l := limiter(limit)
	sharing, err := l.Share(store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	require.NoError(t, sharing.Start(context.Background()))
	t.Cleanup(func() {
		require.NoError(t, sharing.Stop(context.Background()))
		require.NoError(t, store.Close())
	})
	return l
}

// hammer asks as fast as it can, at several gateways at the same time, and counts how often it succeeds, until done.
type hammer struct {
	admitted, asked atomic.Int64
	stalled         atomic.Int64 // nanoseconds in which a gateway was not asked, because the machine did something else
	began           time.Time
	stop            chan struct{}
	running         sync.WaitGroup
}

func startHammer(limiters ...*Limiter) *hammer {
	h := &hammer{began: time.Now(), stop: make(chan struct{})}
	for _, l := range limiters {
		h.running.Go(func() {
			last := h.began
			tick := time.NewTicker(200 * time.Microsecond) // 25 times what is allowed, and the machine has other things to do
			defer tick.Stop()
			for {
				select {
				case <-h.stop:
					return
				case <-tick.C:
				}
				if since := time.Since(last); since > 100*time.Millisecond {
					h.stalled.Add(int64(since))
				}
				last = time.Now()
				h.asked.Add(1)
				if l.Take(Principal("usr_1"), Principal("usr_1"), nil).Wait == 0 {
					h.admitted.Add(1)
				}
			}
		})
	}
	return h
}

// missed is at most how many were not asked for because the machine stalled.
func (h *hammer) missed(limit routes.Limit) float64 {
	return limit.PerSecond * time.Duration(h.stalled.Load()).Seconds()
}

// after returns how many were admitted, and how many one gateway would have admitted meanwhile.
func (h *hammer) after(limit routes.Limit, d time.Duration) (admitted, one float64) {
	<-time.After(d) // what is measured is a rate
	close(h.stop)
	h.running.Wait()
	return float64(h.admitted.Load()), float64(limit.Burst) + limit.PerSecond*time.Since(h.began).Seconds()
}

var perSecond = routes.Limit{PerSecond: 200, Burst: 100}

func startCluster(t testing.TB, secret *redistest.TLS) *redistest.Replicated {
	return redistest.StartCluster(t, secret, keyPrefix)
}

func TestTwoGatewaysAllowWhatOneDoes(t *testing.T) {
	server := func(t testing.TB, secret *redistest.TLS) string { return redistest.Start(t, secret).URL() }
	sentinels := func(t testing.TB, secret *redistest.TLS) string { return redistest.StartSentinels(t, secret).URL() }
	cluster := func(t testing.TB, secret *redistest.TLS) string { return startCluster(t, secret).URL() }
	for name, c := range map[string]struct {
		start  func(testing.TB, *redistest.TLS) string
		secret *redistest.TLS
	}{
		"a server":            {server, nil},
		"a server, over TLS":  {server, trusted},
		"Sentinels, over TLS": {sentinels, trusted},
		"a cluster, over TLS": {cluster, trusted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := c.start(t, c.secret)
			all := startHammer(sharingLimiter(t, url, perSecond), sharingLimiter(t, url, perSecond))
			admitted, one := all.after(perSecond, 3*time.Second)
			t.Logf("admitted %.0f, one gateway alone %.0f, missed %.0f", admitted, one, all.missed(perSecond))
			assert.Less(t, admitted, one+float64(perSecond.Burst), "without sharing it would be twice as much")
			assert.Greater(t, admitted, 0.7*one-all.missed(perSecond), "and not less than is allowed")
		})
	}
}

// A server whose certificate nobody vouches for is not told anything, and gateways go on for themselves.
func TestStrangersAreNotTold(t *testing.T) {
	unknown, err := newTLS(t.TempDir())
	require.NoError(t, err)
	stranger := redistest.Start(t, unknown)
	l := sharingLimiter(t, stranger.URL(), perSecond)
	all := startHammer(l)
	require.Eventually(t, func() bool { return testutil.ToFloat64(l.sharing.told.WithLabelValues("failed")) > 0 }, within, time.Millisecond)
	all.after(perSecond, 0)
	require.False(t, shared(t, l))
	require.NotZero(t, all.admitted.Load())
}

// trouble is a Redis that is away from begin until end.
type trouble struct {
	url        string
	begin, end func()
}

// While Redis is away, hangs, comes back empty, or has a replica take its place, each gateway goes on for itself, and nobody
// waits.
func TestRedisInTrouble(t *testing.T) {
	alone := func(begin, end func(*redistest.Server)) func(*testing.T) trouble {
		return func(t *testing.T) trouble {
			s := redistest.Start(t, nil)
			return trouble{s.URL(), func() { begin(s) }, func() { end(s) }}
		}
	}
	replaced := func(start func(testing.TB, *redistest.TLS) *redistest.Replicated, begin, afterwards func(*redistest.Server)) func(*testing.T) trouble {
		return func(t *testing.T) trouble {
			r := start(t, nil)
			return trouble{r.URL(), func() { begin(r.Master) }, func() {
				r.Promote()
				afterwards(r.Master)
			}}
		}
	}
	gone := func(*redistest.Server) {}
	for name, start := range map[string]func(*testing.T) trouble{
		"killed":                      alone((*redistest.Server).Kill, (*redistest.Server).Restart),
		"paused":                      alone((*redistest.Server).Pause, (*redistest.Server).Continue),
		"sentinels, master is killed": replaced(redistest.StartSentinels, (*redistest.Server).Kill, gone),
		"sentinels, master is paused": replaced(redistest.StartSentinels, (*redistest.Server).Pause, (*redistest.Server).Continue),
		"sentinels, master hangs":     replaced(redistest.StartSentinels, (*redistest.Server).Pause, gone),
		"cluster, master is killed":   replaced(startCluster, (*redistest.Server).Kill, gone),
		"cluster, master is paused":   replaced(startCluster, (*redistest.Server).Pause, (*redistest.Server).Continue),
		"cluster, master hangs":       replaced(startCluster, (*redistest.Server).Pause, gone),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			a, b := sharingLimiter(t, server.url, perSecond), sharingLimiter(t, server.url, perSecond)
			all := startHammer(a, b)
			require.Eventually(t, func() bool { return shared(t, a) && shared(t, b) }, within, time.Millisecond, "it was never reached")
			server.begin()
			require.Eventually(t, func() bool { return !a.sharing.Reached() && !b.sharing.Reached() }, within, time.Millisecond)
			before, asked := all.admitted.Load(), all.asked.Load()
			began := time.Now()
			require.Eventually(t, func() bool { return all.asked.Load() > asked+1000 }, within, time.Millisecond, "nobody waits for Redis")
			require.Eventually(t, func() bool {
				return float64(all.admitted.Load()-before) > perSecond.PerSecond*time.Since(began).Seconds()
			},
				within, time.Millisecond, "each gateway allows what it may")
			server.end()
			require.Eventually(t, func() bool { return a.sharing.Reached() && b.sharing.Reached() }, within, time.Millisecond)
			all.after(perSecond, 0)
			// What was said to Redis again and again while it slept counts once.
			d := a.Take(Principal("usr_1"), Principal("usr_1"), nil)
			assert.Less(t, d.Wait, time.Second, "two windows are a second: no more debt than that")

			admitted, one := startHammer(a, b).after(perSecond, 2*time.Second)
			t.Logf("afterwards admitted %.0f, one gateway alone %.0f", admitted, one)
			assert.Less(t, admitted, one+float64(perSecond.Burst), "they are one again")
		})
	}
}

// shared tells whether a gateway has told the store anything.
func shared(t *testing.T, l *Limiter) bool {
	t.Helper()
	return testutil.ToFloat64(l.sharing.told.WithLabelValues("ok")) > 0
}

// Who is far from his limits causes no traffic.
func TestFewAskTheStore(t *testing.T) {
	store := &counting{}
	l := limiter(routes.Limit{PerSecond: 100, Burst: 200})
	_, err := l.Share(store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	for i := range 1000 {
		for range 10 {
			l.Take(Principal(fmt.Sprint("usr_", i)), Principal(fmt.Sprint("usr_", i)), nil)
		}
	}
	assert.Empty(t, l.sharing.waiting)
	for range 3 {
		l.Take(Principal("usr_1"), Principal("usr_1"), nil)
	}
	assert.Len(t, l.sharing.waiting, 1)
}

type counting struct{ spent int }

// Spend implements Store.
func (c *counting) Spend(_ context.Context, spent []Spent) error {
	c.spent += len(spent)
	return nil
}

func TestAddressesOfRedis(t *testing.T) {
	for _, bad := range []string{
		"", "127.0.0.1:6379", "http://127.0.0.1", "redis://user:hunter2@:x:y/1",
		"http://user:hunter2@a?master_name=limits", "redis://user:hunter2@a?master_name=", "redis://a?master_name=limits&password=hunter2&addr=hunter2",
		"http://user:hunter2@a?addr=b:1", "redis://user:hunter2@a/1?addr=b:1", "redis://a?addr=b:1&password=hunter2", "redis://a?addr=b",
	} {
		_, err := NewRedis(bad)
		require.ErrorContains(t, err, "want redis://", bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
	for address, want := range map[string]struct {
		client  redis.UniversalClient
		servers []string
		tls     string
	}{
		"redis://:hunter2@a/2":                        {&redis.Client{}, []string{"a:6379"}, "none"},
		"unix:///run/redis.sock":                      {&redis.Client{}, []string{"/run/redis.sock"}, "none"},
		"rediss://a":                                  {&redis.Client{}, []string{"a:6379"}, "a"},
		"redis://a:1?master_name=limits":              {&redis.Client{}, []string{"a:1"}, "none"},
		"rediss://a:1?master_name=limits":             {&redis.Client{}, []string{"a:1"}, ""},
		"rediss://a:1?master_name=limits&addr=b:2":    {&redis.Client{}, []string{"a:1", "b:2"}, ""},
		"rediss://a?addr=b:2&addr=c:3":                {&redis.ClusterClient{}, []string{"a:6379", "b:2", "c:3"}, ""},
		"redis://a?addr=a:6379&route_randomly=true":   {&redis.ClusterClient{}, []string{"a:6379", "a:6379"}, "none"},
		"redis://a?master_name=m&route_randomly=true": {&redis.Client{}, []string{"a:6379"}, "none"},
	} {
		options, err := parseAddress(address)
		require.NoError(t, err, address)
		assert.Equal(t, want.servers, options.Addrs, address)
		name := "none"
		if options.TLSConfig != nil {
			name = options.TLSConfig.ServerName
		}
		assert.Equal(t, want.tls, name, "%s: whose certificate has to be shown, where it is not that of each server", address)
		store, err := NewRedis(address)
		require.NoError(t, err, address)
		assert.IsType(t, want.client, store.client, address)
		require.NoError(t, store.Close())
	}
}
