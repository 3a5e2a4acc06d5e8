package loader_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/platform/loader"
	"ashlar.dev/platform/service"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "identity: authz", "notes: identity >= 1.2", "shop")
	var front sync.WaitGroup
	front.Add(1)
	l, err := loader.New(t.Context(), loader.Config{
		Environment: w.env, Service: func(string) service.Config { return w.cfg }, Out: t.Output(), Log: logger(t),
		More: func(ready []string) ([]lifecycle.Component, error) {
			return []lifecycle.Component{{Name: "front/door", After: ready, Start: func(context.Context) error {
				defer front.Done()
				require.Equal(t, []string{"audit", "authz", "identity", "notes"}, w.registered())
				return nil
			}}}, nil
		},
	}, w.modules, "notes", "audit")
	require.NoError(t, err)
	require.Equal(t, []string{"authz not started", "audit not started", "identity not started", "notes not started", "front not started"}, states(l.Report()))

	require.NoError(t, l.Start(t.Context()))
	front.Wait()
	report := l.Report()
	require.True(t, report.Ready)
	require.Equal(t, []string{"authz ready", "audit ready", "identity ready", "notes ready", "front ready"}, states(report))
	for i, p := range report.Parts {
		require.Equal(t, i, p.Rank)
		require.Equal(t, i+1, p.Order)
		require.LessOrEqual(t, p.BegunMs, p.ReadyMs)
		require.LessOrEqual(t, p.ReadyMs, report.TookMs)
		require.LessOrEqual(t, p.BusyMs, p.ReadyMs-p.BegunMs+1)
	}
	require.Equal(t, []string{"audit", "authz", "identity"}, named(report, "notes").After)

	require.NoError(t, l.Stop(context.Background()))
	require.Empty(t, w.registered())
	require.Equal(t, []string{"+authz", "+audit", "+identity", "+notes", "-notes", "-identity", "-audit", "-authz"}, w.entries)
	require.Positive(t, l.Report().StopMs)
}

func TestTenServicesStartInARightOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 4))
			dependsOn := map[string][]string{}
			var names, lines []string
			for i := range 10 {
				name := fmt.Sprint("service", i)
				for _, before := range names {
					if r.IntN(4) == 0 {
						dependsOn[name] = append(dependsOn[name], before)
					}
				}
				names = append(names, name)
				lines = append(lines, name+": "+strings.Join(dependsOn[name], ", "))
			}
			r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			w := newWorld(t, lines...)
			l := w.mustLoad()
			require.NoError(t, l.Start(t.Context()))
			require.Len(t, w.registered(), 12)
			require.NoError(t, l.Stop(context.Background()))
			at := w.at()
			for _, name := range names {
				for _, before := range append(dependsOn[name], "authz", "audit") {
					require.Less(t, at["+"+before], at["+"+name], "%v", w.entries)
					require.Less(t, at["-"+name], at["-"+before], "%v", w.entries)
				}
			}
		})
	}
}

func TestWhatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a: b", "b: a", "c: ghost, audit >= 2")
	_, err := w.load()
	for _, says := range []string{
		"in a circle: a -> b -> a", "c depends on ghost, and there is no such module", "c depends on audit >= 2, which has version 1.2.0 here",
	} {
		require.ErrorContains(t, err, says)
	}
	_, err = w.load("notes")
	require.ErrorContains(t, err, "there is no module notes")

	w = newWorld(t, "notes", "shop")
	w.fakes["notes"].fails, w.fakes["shop"].fails = errors.New("no paper"), errors.New("no goods")
	_, err = w.load()
	require.ErrorContains(t, err, "notes: no paper")
	require.ErrorContains(t, err, "shop: no goods")
}

// One that fails in the middle: the error says which, and what the others were at; nothing is left.
func TestOneThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "identity: authz", "notes: identity", "slow", "behind: slow")
	waiting := make(chan struct{})
	broken := errors.New("the disk is full")
	w.fakes["slow"].work.Start = func(ctx context.Context) error {
		close(waiting)
		<-ctx.Done()
		return fmt.Errorf("warming up: %w", ctx.Err())
	}
	w.fakes["notes"].work.Start = func(context.Context) error {
		<-waiting
		return broken
	}
	l := w.mustLoad()
	err := l.Start(t.Context())
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "start notes/module/work: the disk is full")
	require.Regexp(t, `given up after [\d.]+m?s: start slow/module/work: warming up: context canceled`, err.Error())
	require.Empty(t, w.registered())
	require.Equal(t, []string{"+authz", "+audit", "+identity", "-identity", "-audit", "-authz"}, w.entries)

	report := l.Report()
	require.False(t, report.Ready)
	require.Equal(t, err.Error(), report.Error)
	require.Equal(t, []string{"authz ready", "audit ready", "identity ready", "slow given up", "behind given up", "notes failed"}, states(report))
	failed := named(report, "notes")
	require.Equal(t, "notes/module/work", failed.Component)
	require.Contains(t, failed.Error, "the disk is full")
	require.Zero(t, failed.Order)
}

func TestCancelledWhileItStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "slow", "notes")
	ctx, cancel := context.WithCancel(t.Context())
	w.fakes["slow"].work.Start = func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	require.ErrorIs(t, w.mustLoad().Start(ctx), context.Canceled)
	require.Empty(t, w.registered())
	at := w.at()
	for entry := range at {
		require.Contains(t, at, "-"+entry[1:], "what has started is stopped")
	}

	// When it is too late already, nothing is left either: goleak would find what databases have from the beginning.
	require.ErrorIs(t, newWorld(t).mustLoad().Start(ctx), context.Canceled)
}

// One that refuses to stop does not delay those that it has nothing to do with.
func TestOneThatRefusesToStopDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "deaf: authz", "shop")
	other, deaf := make(chan struct{}), &w.fakes["deaf"].work
	deaf.StopTimeout = 2 * patience
	deaf.Stop = func(context.Context) error {
		select {
		case <-other:
		case <-time.After(patience):
			t.Error("the other one does not stop meanwhile")
		}
		w.note("-deaf")
		return nil
	}
	w.fakes["shop"].work.Stop = func(context.Context) error { close(other); return nil }
	l := w.mustLoad()
	require.NoError(t, l.Start(t.Context()))
	require.NoError(t, l.Stop(context.Background()))
	at := w.at()
	require.Less(t, at["-deaf"], at["-authz"], "what it depends on waits for it")
}

// What it depends on it delays by its budget.
func TestOneThatRefusesToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "deaf: authz")
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	const budget = 300 * time.Millisecond
	deaf := &w.fakes["deaf"].work
	deaf.StopTimeout = budget
	deaf.Stop = func(context.Context) error {
		<-release
		return nil
	}
	var begun time.Time
	var after time.Duration
	w.fakes["authz"].work.Stop = func(context.Context) error { after = time.Since(begun); return nil }
	l := w.mustLoad()
	require.NoError(t, l.Start(t.Context()))
	begun = time.Now()
	require.ErrorContains(t, l.Stop(context.Background()), "stop deaf/module/work: context deadline exceeded")
	require.GreaterOrEqual(t, after, budget)
	require.Empty(t, w.registered())
	require.Equal(t, []string{"stop deaf/module/work: context deadline exceeded"}, named(l.Report(), "deaf").StopErrors)
}

// The loader is one component of a process, and one of its parts that cannot go on is told to the process.
func TestOneComponentOfAProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "notes")
	l := w.mustLoad()
	c := l.Component("platform")
	require.Greater(t, c.StartTimeout, patience)
	group, err := lifecycle.NewGroup(logger(t), c)
	require.NoError(t, err)
	require.NoError(t, group.Start(t.Context()))
	require.Len(t, w.registered(), 3)
	require.NoError(t, group.Stop(context.Background()))
	require.Empty(t, w.registered())
}

// What services record is delivered before they stop, and of the first ones to start, too.
func TestEventsAreDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "notes")
	for name, fake := range w.fakes {
		fake.work.Start = func(context.Context) error { return w.record(name, "early") }
	}
	w.fakes["notes"].work.Stop = func(context.Context) error { return w.record("notes", "last") }
	l := w.mustLoad()
	require.NoError(t, l.Start(t.Context()))
	for name := range w.fakes {
		require.NoError(t, w.record(name, "late"))
	}
	require.NoError(t, l.Stop(context.Background()))
	require.ElementsMatch(t, []string{
		"authz early", "audit early", "notes early", "authz late", "audit late", "notes late", "notes last",
	}, w.ingest.delivered)
}
