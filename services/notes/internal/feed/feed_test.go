package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/services/notes/internal/feed"
)

// changes is what other instances have written.
type changes struct {
	mu        sync.Mutex
	last      map[string]int64
	fails     error
	asked     []string
	forgotten int
}

func (c *changes) LastChanges(_ context.Context, organizationIDs []string) (map[string]int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, organizationIDs...)
	last := map[string]int64{}
	for _, organization := range organizationIDs {
		last[organization] = c.last[organization]
	}
	return last, c.fails
}

func (c *changes) Forget(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	return nil
}

func (c *changes) change(organization string, fails error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[organization]++
	c.fails = fails
}

func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, f := &changes{last: map[string]int64{}}, feed.New(slog.New(slog.DiscardHandler))
		component := f.Component(source)
		require.NoError(t, component.Start(t.Context()))
		defer func() { require.NoError(t, component.Stop(context.Background())) }()
		acme, other := f.Watch("org_acme"), f.Watch("org_other")
		woken := func(w *feed.Watch) bool {
			synctest.Wait()
			select {
			case <-w.Woken:
				return true
			default:
				return false
			}
		}

		// A change of this instance wakes at once, and once, however many there are.
		f.Wake("org_acme")
		f.Wake("org_acme")
		require.True(t, woken(acme))
		require.False(t, woken(acme))
		require.False(t, woken(other))

		// Whoever is new is woken by the first look, and then by what has changed.
		time.Sleep(time.Second)
		require.True(t, woken(acme))
		require.True(t, woken(other))
		source.change("org_acme", nil)
		time.Sleep(time.Second)
		require.True(t, woken(acme))
		require.False(t, woken(other))

		// What could not be looked at is looked at again.
		source.change("org_acme", errors.New("away"))
		time.Sleep(time.Second)
		require.False(t, woken(acme))
		source.change("org_other", nil)
		time.Sleep(time.Second)
		require.True(t, woken(acme))
		require.True(t, woken(other))

		// Nobody watches: nobody is asked about.
		acme.Close()
		other.Close()
		source.mu.Lock()
		source.asked = nil
		source.mu.Unlock()
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		require.Empty(t, source.asked)
		require.Equal(t, 1, source.forgotten)
	})
}
