package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/lifecycle"
)

// diary is what components do, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

func (d *diary) component(name string, after ...string) lifecycle.Component {
	return lifecycle.Component{
		Name: name, After: after,
		Start: func(context.Context) error { d.note("+" + name); return nil },
		Stop:  func(context.Context) error { d.note("-" + name); return nil },
	}
}

func group(t *testing.T, components ...lifecycle.Component) *lifecycle.Group {
	t.Helper()
	g, err := lifecycle.NewGroup(discard, components...)
	require.NoError(t, err)
	return g
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	var d diary
	silent := lifecycle.Component{Name: "b2", After: []string{"b"}} // neither starts nor stops
	g := group(t, d.component("c", "b2"), silent, d.component("b", "a"), d.component("a"))
	require.NoError(t, g.Start(t.Context()))
	require.Equal(t, []string{"+a", "+b", "+c"}, d.entries)
	require.NoError(t, g.Stop(t.Context()))
	require.Equal(t, []string{"+a", "+b", "+c", "-c", "-b", "-a"}, d.entries)
	require.NoError(t, g.Stop(t.Context()))
	require.Len(t, d.entries, 6, "nothing stops twice")
}

func TestAFailedStartIsRolledBack(t *testing.T) {
	t.Parallel()
	var d diary
	broken, alsoBroken := errors.New("no disk"), errors.New("cannot close")
	c := d.component("c", "b")
	c.Start = func(context.Context) error { return broken }
	b := d.component("b", "a")
	b.Stop = func(context.Context) error { d.note("-b"); return alsoBroken }
	g := group(t, d.component("a"), b, c, d.component("d", "c"))
	err := g.Start(t.Context())
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "start c: no disk")
	require.ErrorIs(t, err, alsoBroken, "what went wrong on the way back is told, too")
	require.ErrorContains(t, err, "stop b: cannot close")
	require.Equal(t, []string{"+a", "+b", "-b", "-a"}, d.entries, "what had not started does not stop")
	require.NoError(t, g.Stop(t.Context()))
	require.Len(t, d.entries, 4)
}

func TestAStartThatIsCancelledIsRolledBack(t *testing.T) {
	t.Parallel()
	var d diary
	ctx, cancel := context.WithCancel(t.Context())
	b := d.component("b", "a")
	b.Start = func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	a := d.component("a")
	a.Stop = func(ctx context.Context) error {
		d.note("-a")
		return ctx.Err() // the rollback has time of its own
	}
	require.ErrorIs(t, group(t, a, b).Start(ctx), context.Canceled)
	require.Equal(t, []string{"+a", "-a"}, d.entries)
}

func TestStartHasABudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		for budget, want := range map[time.Duration]time.Duration{0: lifecycle.DefaultStartTimeout, time.Minute: time.Minute} {
			begun := time.Now()
			err := group(t, lifecycle.Component{Name: "slow", Start: wait, StartTimeout: budget}).Start(t.Context())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "start slow")
			require.Equal(t, want, time.Since(begun))
		}
	})
}

// One that hangs, even one that does not look at its context, delays the others by its own budget and no more.
func TestStopHasABudgetForEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		release := make(chan struct{})
		deaf := d.component("deaf", "slow")
		deaf.Stop = func(context.Context) error { <-release; return nil }
		deaf.StopTimeout = 3 * time.Second
		slow := d.component("slow", "first")
		slow.Stop = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		first := d.component("first")
		first.Stop = func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, lifecycle.DefaultStopTimeout, time.Until(deadline), "the budget is fresh")
			d.note("-first")
			return nil
		}
		g := group(t, first, slow, deaf, d.component("last", "deaf"))
		require.NoError(t, g.Start(t.Context()))

		expired, cancel := context.WithCancel(t.Context())
		cancel() // budgets do not depend on the context that asks for the stop
		begun := time.Now()
		err := g.Stop(expired)
		require.Equal(t, 3*time.Second+lifecycle.DefaultStopTimeout, time.Since(begun))
		require.ErrorContains(t, err, "stop deaf")
		require.ErrorContains(t, err, "stop slow")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []string{"-last", "-first"}, d.entries[4:])
		close(release)
	})
}

func TestFail(t *testing.T) {
	t.Parallel()
	g := group(t)
	select {
	case <-g.Failed():
		require.Fail(t, "nothing has failed")
	default:
	}
	first := errors.New("connection lost")
	var wait sync.WaitGroup
	g.Fail("server", first)
	for range 10 {
		wait.Go(func() { g.Fail("other", errors.New("a consequence")) })
	}
	wait.Wait()
	<-g.Failed()
	require.ErrorIs(t, g.Failure(), first, "the first report counts")
	require.ErrorContains(t, g.Failure(), "server: connection lost")
}
