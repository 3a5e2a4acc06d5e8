package discovery_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

func TestWatchKnowsNothingUntilSet(t *testing.T) {
	source := discovery.NewSource(slices.Equal[[]string])
	_, known, changed := source.Watch().Get()
	require.False(t, known)

	require.True(t, source.Set(nil), "the first value is news, even an empty one")
	requireClosed(t, changed)
	value, known, changed := source.Watch().Get()
	require.True(t, known)
	require.Empty(t, value)

	require.False(t, source.Set([]string{}), "the same value is no news")
	requireOpen(t, changed)

	require.True(t, source.Set([]string{"a"}))
	requireClosed(t, changed)
	value, _, _ = source.Watch().Get()
	require.Equal(t, []string{"a"}, value)
}

func TestWatchWithoutComparisonTakesEveryValueAsNews(t *testing.T) {
	source := discovery.NewSource[int](nil)
	require.True(t, source.Set(1))
	require.True(t, source.Set(1))
}

func TestWaitWakesForTheValueItWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := discovery.NewSource[int](nil)
		got := make(chan int)
		go func() {
			value, err := source.Watch().Wait(t.Context(), func(v int) bool { return v >= 2 })
			if err != nil {
				t.Error(err)
			}
			got <- value
		}()
		for v := range 3 {
			synctest.Wait()
			select {
			case early := <-got:
				t.Fatalf("woke for %d before it was there", early)
			default:
			}
			source.Set(v)
		}
		require.Equal(t, 2, <-got)
	})
}

func TestWaitReturnsTheLastValueWithTheError(t *testing.T) {
	source := discovery.NewSource[int](nil)
	source.Set(7)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	value, err := source.Watch().Wait(ctx, func(int) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 7, value)
	value, err = source.Watch().Wait(ctx, nil)
	require.NoError(t, err, "what is already there needs no waiting")
	require.Equal(t, 7, value)
}

func TestEveryReaderSeesTheNewestValue(t *testing.T) {
	const last = 1000
	source := discovery.NewSource[int](nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			seen := -1
			_, err := source.Watch().Wait(t.Context(), func(v int) bool {
				if v < seen {
					t.Errorf("%d after %d", v, seen)
				}
				seen = v
				return v == last
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for v := range last + 1 {
		source.Set(v)
	}
	all.Wait()
}

func BenchmarkGet(b *testing.B) {
	source := discovery.NewSource(discovery.SameInstances)
	source.Set([]discovery.Instance{{ID: "a"}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			source.Watch().Get()
		}
	})
}

func requireClosed(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	default:
		t.Fatal("nobody was woken")
	}
}

func requireOpen(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatal("woken for nothing")
	default:
	}
}
