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
	looks     int // how often it was asked what is newer
	asked     int // how often it was asked for the newest of one
	forgotten int
}

func (c *changes) LastChange(_ context.Context, organizationID string) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.last[organizationID], c.fails
}

func (c *changes) NewerChanges(_ context.Context, seen map[string]int64) (map[string]int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	newer := map[string]int64{}
	for organization, last := range seen {
		if c.last[organization] > last {
			newer[organization] = c.last[organization]
		}
	}
	return newer, c.fails
}

// Forget takes as long as it may.
func (c *changes) Forget(ctx context.Context) error {
	c.mu.Lock()
	c.forgotten++
	c.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// counts returns how often was asked for what.
func (c *changes) counts() (looks, asked, forgotten int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks, c.asked, c.forgotten
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

		// While old changes are removed, which takes long, watchers are woken.
		forgotten := 0
		for forgotten == 0 {
			time.Sleep(time.Second)
			synctest.Wait()
			_, _, forgotten = source.counts()
		}
		source.change("org_acme", nil)
		time.Sleep(time.Second)
		require.True(t, woken(acme))

		// Of whom the newest change was asked once, only what is newer is asked; and when nobody watches, nothing.
		acme.Close()
		other.Close()
		time.Sleep(time.Second)
		synctest.Wait()
		looks, asked, forgotten := source.counts()
		require.Equal(t, 2, asked)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		looksAfter, askedAfter, forgottenAfter := source.counts()
		require.Equal(t, looks, looksAfter)
		require.Equal(t, asked, askedAfter)
		require.Equal(t, forgotten+1, forgottenAfter)
	})
}
