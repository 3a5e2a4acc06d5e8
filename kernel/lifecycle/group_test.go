package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// Those without an order between them start side by side, and stop so.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(name string, after ...string) lifecycle.Component {
			pause := func(context.Context) error { time.Sleep(time.Second); return nil }
			return lifecycle.Component{Name: name, After: after, Start: pause, Stop: pause}
		}
		g := group(t, slow("a"), slow("b"), slow("c", "a"), slow("d", "a", "b"), slow("e", "c", "d"))
		begun := time.Now()
		require.NoError(t, g.Start(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(begun))
		require.NoError(t, g.Stop(t.Context()))
		require.Equal(t, 6*time.Second, time.Since(begun))

		at := map[string][2]time.Duration{}
		for _, s := range g.Starts() {
			require.True(t, s.Done)
			require.NoError(t, s.Err)
			require.Equal(t, time.Second, s.Took)
			at[s.Component] = [2]time.Duration{s.Begun.Sub(begun)}
		}
		for _, s := range g.Stops() {
			at[s.Component] = [2]time.Duration{at[s.Component][0], s.Begun.Sub(begun)}
		}
		require.Equal(t, map[string][2]time.Duration{
			"a": {0, 5 * time.Second}, "b": {0, 5 * time.Second}, "c": {time.Second, 4 * time.Second}, "d": {time.Second, 4 * time.Second},
			"e": {2 * time.Second, 3 * time.Second},
		}, at)
	})
}

// When one fails, the others that are starting are given up, and the error says what they were at.
func TestTheOthersAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		broken := errors.New("no disk")
		fails := d.component("fails", "first")
		fails.Start = func(context.Context) error { time.Sleep(2 * time.Second); return broken }
		waits := d.component("waits", "first")
		waits.Start = func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("waiting for godot: %w", ctx.Err()) }
		late := d.component("late", "first") // it does not heed the end, and has started after all
		late.Start = func(context.Context) error { time.Sleep(3 * time.Second); d.note("+late"); return nil }
		g := group(t, d.component("first"), fails, waits, late, d.component("never", "late"))
		err := g.Start(t.Context())
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, context.Canceled, "what failed is the disk")
		require.EqualError(t, err, "start fails: no disk\ngiven up after 2s: start waits: waiting for godot: context canceled")
		require.Equal(t, []string{"+first", "+late", "-late", "-first"}, d.entries)
	})
}

// Who asks for the end is told what that has interrupted.
func TestCancelledFromOutside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		waits := d.component("waits", "first")
		waits.Start = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		g := group(t, d.component("first"), waits, d.component("never", "waits"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.Start(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "given up after 1s: start waits: context deadline exceeded")
		require.Equal(t, []string{"+first", "-first"}, d.entries)

		require.ErrorIs(t, group(t, d.component("first")).Start(ctx), context.DeadlineExceeded)
		require.Len(t, d.entries, 2, "nothing starts when it is too late already")
	})
}

// One that refuses to stop delays those that it came after by its budget, and nobody else.
func TestOneThatRefusesToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		begun := time.Now()
		at := map[string]time.Duration{}
		var mu sync.Mutex
		noting := func(name string, after ...string) lifecycle.Component {
			return lifecycle.Component{Name: name, After: after, Stop: func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				at[name] = time.Since(begun)
				return nil
			}}
		}
		deaf := lifecycle.Component{Name: "deaf", After: []string{"below"}, StopTimeout: 3 * time.Second, Stop: func(context.Context) error {
			<-release
			return nil
		}}
		g := group(t, noting("bottom"), noting("below", "bottom"), deaf, noting("beside", "bottom"), noting("apart"))
		require.NoError(t, g.Start(t.Context()))
		require.ErrorContains(t, g.Stop(t.Context()), "stop deaf: context deadline exceeded")
		require.Equal(t, map[string]time.Duration{"below": 3 * time.Second, "bottom": 3 * time.Second, "beside": 0, "apart": 0}, at)
	})
}

// A group within a group has the time that its longest way needs.
func TestAGroupAsAComponent(t *testing.T) {
	t.Parallel()
	var d diary
	timed := func(name string, start, stop time.Duration, after ...string) lifecycle.Component {
		c := d.component(name, after...)
		c.StartTimeout, c.StopTimeout = start, stop
		return c
	}
	inner := group(t, timed("a", time.Minute, time.Second), timed("b", 2*time.Minute, 2*time.Second), timed("c", 0, 0, "a", "b"))
	c := inner.Component("inner")
	require.Equal(t, 2*time.Minute+lifecycle.DefaultStartTimeout+2*time.Second+lifecycle.DefaultStopTimeout, c.StartTimeout)
	require.Equal(t, 2*time.Second+lifecycle.DefaultStopTimeout+time.Second, c.StopTimeout)
	outer := group(t, d.component("before"), lifecycle.Component{Name: c.Name, After: []string{"before"}, Start: c.Start, Stop: c.Stop})
	require.NoError(t, outer.Start(t.Context()))
	require.NoError(t, outer.Stop(t.Context()))
	require.Equal(t, "+before", d.entries[0])
	require.Equal(t, []string{"+c", "-c"}, d.entries[3:5])
	require.Equal(t, "-before", d.entries[7])
}

// Whatever the order, each starts after those that it comes after, and stops before them.
func TestAnyGraph(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		var d diary
		after := map[string][]string{}
		var components []lifecycle.Component
		breaks := r.IntN(20) // the last of them is none of the ten
		for i := range 10 {
			name := string(rune('a' + i))
			for j := range i {
				if r.IntN(4) == 0 {
					after[name] = append(after[name], string(rune('a'+j)))
				}
			}
			c := d.component(name, after[name]...)
			if i == breaks {
				c.Start = func(context.Context) error { return errors.New("broken") }
			}
			components = append(components, c)
		}
		r.Shuffle(len(components), func(i, j int) { components[i], components[j] = components[j], components[i] })
		g := group(t, components...)
		err := g.Start(t.Context())
		require.Equal(t, breaks < 10, err != nil, "seed %d", seed)
		require.NoError(t, g.Stop(t.Context()))
		at := map[string]int{}
		for i, entry := range d.entries {
			require.NotContains(t, at, entry, "seed %d: once", seed)
			at[entry] = i
		}
		for name, befores := range after {
			for _, before := range befores {
				if _, started := at["+"+name]; !started {
					continue
				}
				require.Contains(t, at, "+"+before, "seed %d", seed)
				require.Less(t, at["+"+before], at["+"+name], "seed %d: %v", seed, d.entries)
				require.Less(t, at["-"+name], at["-"+before], "seed %d: %v", seed, d.entries)
			}
		}
		for entry := range at {
			require.Contains(t, at, "-"+entry[1:], "seed %d: what has started is stopped", seed)
		}
	}
}
