package balance

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

func endpoints(n int) *view {
	places := make([]place, n)
	for i := range places {
		places[i] = place{weight: discovery.DefaultWeight}
	}
	return viewOf("", places...)
}

func viewOf(zone string, places ...place) *view {
	v := &view{known: true}
	for i, p := range places {
		p.id = fmt.Sprint(i)
		v.endpoints = append(v.endpoints, &endpoint{place: p})
	}
	v.groups = grouped(v.endpoints, zone, nil)
	return v
}

func TestPickPrefersTheLessBusy(t *testing.T) {
	v := endpoints(2)
	v.endpoints[0].outstanding.Store(1)
	for range 100 {
		require.Same(t, v.endpoints[1], v.pick(0, &tried{}))
	}
}

func TestPickSpreads(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10} {
		v := endpoints(n)
		const rounds = 10_000
		counts := make(map[*endpoint]int)
		for range rounds {
			counts[v.pick(0, &tried{})]++
		}
		require.Len(t, counts, n)
		for _, count := range counts {
			require.InDelta(t, rounds/n, count, float64(rounds/n)/4, "%d endpoints", n)
		}
		for range rounds { // none of these ends
			v.pick(0, &tried{}).outstanding.Add(1)
		}
		for _, e := range v.endpoints {
			require.InDelta(t, rounds/n, e.outstanding.Load(), 10, "two choices keep %d endpoints level", n)
		}
	}
}

func TestPickPassesOverProbationUnlessAllAreInIt(t *testing.T) {
	for _, n := range []int{1, 2, 3, 50} {
		v := endpoints(n)
		for _, e := range v.endpoints[1:] {
			e.failed(0, 0)
		}
		for range 100 {
			require.Same(t, v.endpoints[0], v.pick(0, &tried{}))
		}
		v.endpoints[0].failed(0, 0)
		require.NotNil(t, v.pick(0, &tried{}), "all %d in probation", n)
	}
}

func TestPickOffersEachEndpointOnceAndNotTooMany(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 3, 10: maxTries} {
		v := endpoints(n)
		var offered tried
		for e := v.pick(0, &offered); e != nil; e = v.pick(0, &offered) {
			require.True(t, offered.wants(e))
			offered.add(e)
			e.failed(0, 0)
		}
		require.Equal(t, want, offered.count, "%d endpoints", n)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 2, 10, 1000} {
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			v := endpoints(n)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var offered tried
				for pb.Next() {
					e := v.pick(0, &offered)
					e.outstanding.Add(1)
					e.outstanding.Add(-1)
				}
			})
		})
	}
	b.Run("endpoints=1000,half in probation", func(b *testing.B) {
		v := endpoints(1000)
		for _, e := range v.endpoints[:500] {
			e.failed(0, 0)
		}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			var offered tried
			for pb.Next() {
				v.pick(0, &offered)
			}
		})
	})
}
