package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/health"
)

// Three looks in a row have to fail, one that succeeds is enough, and one that hangs fails in time.
func TestDatabaseWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const answers, refuses, hangs = 0, 1, 2
		var does, looks atomic.Int64
		look := func(ctx context.Context) error {
			looks.Add(1)
			switch does.Load() {
			case refuses:
				return errors.New("refused\nby the server")
			case hangs:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		status := health.NewStatus()
		status.SetReady(true)
		w := newDatabaseWatch(look, status, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.Zero(t, testutil.ToFloat64(w.up), "it is not open yet")
		w.start()
		until := func(ready bool) (after time.Duration, failed int64, why string) {
			begun, before := time.Now(), looks.Load()
			for {
				now, why, changed := status.Ready()
				if now == ready {
					return time.Since(begun), looks.Load() - before, why
				}
				<-changed
			}
		}
		for range 1000 {
			time.Sleep(lookEvery)
			ready, _, _ := status.Ready()
			require.True(t, ready)
		}
		require.InDelta(t, 1000, looks.Load(), 50, "it looks as often as it says")

		for _, way := range []int64{refuses, hangs} {
			does.Store(way)
			after, failed, why := until(false)
			require.EqualValues(t, failuresUntilDown, failed)
			require.Less(t, after, 2*lookEvery+failuresUntilDown*lookWithin+2*lookAgain)
			require.Contains(t, []string{"", "database: refused by the server", "database: context deadline exceeded"}[way], why)
			require.Zero(t, testutil.ToFloat64(w.up))
			time.Sleep(time.Minute)
			ready, _, _ := status.Ready()
			require.False(t, ready)

			does.Store(answers)
			after, _, _ = until(true)
			require.LessOrEqual(t, after, lookWithin+2*lookAgain, "it is back at the first success")
			require.EqualValues(t, 1, testutil.ToFloat64(w.up))
		}

		// A look that fails now and then changes nothing.
		for range 100 {
			before := looks.Load()
			for looks.Load() < before+failuresUntilDown-1 {
				does.Store(refuses)
				time.Sleep(time.Millisecond)
			}
			does.Store(answers)
			for after := looks.Load(); looks.Load() == after; {
				time.Sleep(time.Millisecond)
			}
			ready, _, _ := status.Ready()
			require.True(t, ready)
		}
		does.Store(hangs)
		time.Sleep(lookEvery)
		require.NoError(t, w.stop(t.Context()), "also in the middle of a look")
	})
}
