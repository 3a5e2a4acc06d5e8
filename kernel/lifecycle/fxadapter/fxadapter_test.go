package fxadapter_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/lifecycle/fxadapter"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// app is a group whose parts note what they do. Nothing of it runs at the same time.
type app struct {
	entries []string
	running chan struct{}
}

func (a *app) component(name string, after ...string) lifecycle.Component {
	return lifecycle.Component{
		Name: name, After: after,
		Start: func(context.Context) error { a.entries = append(a.entries, "+"+name); return nil },
		Stop:  func(context.Context) error { a.entries = append(a.entries, "-"+name); return nil },
	}
}

// last is the component after which the app runs.
func (a *app) last(after ...string) lifecycle.Component {
	c := a.component("last", after...)
	c.Start = func(context.Context) error {
		a.entries = append(a.entries, "+last")
		close(a.running)
		return nil
	}
	return c
}

func provide(components ...lifecycle.Component) fx.Option {
	return fx.Provide(func() (*lifecycle.Group, error) {
		return lifecycle.NewGroup(slog.New(slog.DiscardHandler), components...)
	})
}

func TestRunUntilCancelled(t *testing.T) {
	t.Parallel()
	a := &app{running: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- fxadapter.Run(ctx, provide(a.last("b"), a.component("b", "a"), a.component("a"))) }()
	<-a.running
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, []string{"+a", "+b", "+last", "-last", "-b", "-a"}, a.entries)
}

func TestRunUntilAComponentFails(t *testing.T) {
	t.Parallel()
	a := &app{running: make(chan struct{})}
	var group *lifecycle.Group
	broken, stuck := errors.New("the socket is gone"), errors.New("cannot flush")
	first := a.component("first")
	first.Stop = func(context.Context) error { return stuck }
	ended := make(chan error, 1)
	go func() {
		ended <- fxadapter.Run(t.Context(), provide(first, a.last("first")), fx.Populate(&group))
	}()
	<-a.running
	group.Fail("last", broken)
	err := <-ended
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "last: the socket is gone")
	require.ErrorIs(t, err, stuck, "and what went wrong while stopping")
	require.Equal(t, []string{"+last", "-last"}, a.entries[len(a.entries)-2:])
}

func TestRunFailsToStart(t *testing.T) {
	t.Parallel()
	a := &app{running: make(chan struct{})}
	broken := errors.New("the port is taken")
	second := a.component("second", "first")
	second.Start = func(context.Context) error { return broken }
	err := fxadapter.Run(t.Context(), provide(a.component("first"), second, a.component("third", "second")))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "start second")
	require.Equal(t, []string{"+first", "-first"}, a.entries)
}

// Somebody who stops the process while it still starts wants it to end, and not to be told that it did not start.
func TestRunIsCancelledWhileItStarts(t *testing.T) {
	t.Parallel()
	a := &app{running: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	waits := a.component("waits", "first")
	waits.Start = func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	require.NoError(t, fxadapter.Run(ctx, provide(a.component("first"), waits)))
	require.Equal(t, []string{"+first", "-first"}, a.entries)
}

func TestRunCannotBuild(t *testing.T) {
	t.Parallel()
	broken := errors.New("no cluster key")
	err := fxadapter.Run(t.Context(), fx.Provide(func() (*lifecycle.Group, error) { return nil, broken }))
	require.ErrorIs(t, err, broken)

	err = fxadapter.Run(t.Context(), provide(lifecycle.Component{Name: "a", After: []string{"a"}}))
	require.ErrorContains(t, err, "a -> a")

	require.Error(t, fxadapter.Run(t.Context()), "a graph without a group")
}

// fx has a deadline of its own for starting and stopping; it must not be shorter than the budgets of the components.
func TestComponentsHaveTheirOwnBudget(t *testing.T) {
	t.Parallel()
	begun := make(chan time.Duration, 2)
	look := func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		begun <- time.Until(deadline)
		return nil
	}
	a := &app{running: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- fxadapter.Run(ctx, provide(
			lifecycle.Component{Name: "a", Start: look, Stop: look, StartTimeout: 20 * time.Minute, StopTimeout: 20 * time.Minute}, a.last("a")))
	}()
	<-a.running
	cancel()
	require.NoError(t, <-ended)
	require.Greater(t, <-begun, 19*time.Minute)
	require.Greater(t, <-begun, 19*time.Minute)
}
