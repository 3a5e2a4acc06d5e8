// Package feed wakes those who watch an organization's notes when there may be something new. It is a hint and no more:
// what is new, and for whom, they find out from the store, each at a pace of their own, so nothing is queued for them here.
package feed

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"ashlar.dev/kernel/lifecycle"
)

const (
	// pollEvery is how late, at most, watchers hear of what another instance has changed.
	pollEvery = time.Second
	// pollTimeout bounds one look, forgetTimeout one cleaning.
	pollTimeout   = 5 * time.Second
	forgetTimeout = time.Minute
	// forgetEvery is how often old changes are removed.
	forgetEvery = 10 * time.Minute
	// pollAtOnce bounds the organizations of one query.
	pollAtOnce = 500
)

// Source is where changes are kept.
type Source interface {
	// LastChange returns the id of an organization's newest change; 0 where there is none.
	LastChange(ctx context.Context, organizationID string) (int64, error)
	// NewerChanges returns the id of the newest change of each organization that has one after that which was seen.
	NewerChanges(ctx context.Context, seen map[string]int64) (map[string]int64, error)
	// Forget removes old changes.
	Forget(ctx context.Context) error
}

// Feed is safe for concurrent use.
type Feed struct {
	log *slog.Logger

	mu       sync.Mutex
	watchers map[string]map[*Watch]struct{}

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Watch is one watcher of an organization.
type Watch struct {
	// Woken gets a value when there may be something new since the last one was taken.
	Woken <-chan struct{}

	woken        chan struct{}
	feed         *Feed
	organization string
}

// New returns a feed. Until its component has started, it knows of changes of this instance only.
func New(log *slog.Logger) *Feed {
	return &Feed{log: log, watchers: map[string]map[*Watch]struct{}{}}
}

// Watch begins to watch an organization, until Close.
func (f *Feed) Watch(organizationID string) *Watch {
	woken := make(chan struct{}, 1)
	w := &Watch{Woken: woken, woken: woken, feed: f, organization: organizationID}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers[organizationID] == nil {
		f.watchers[organizationID] = map[*Watch]struct{}{}
	}
	f.watchers[organizationID][w] = struct{}{}
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	delete(w.feed.watchers[w.organization], w)
	if len(w.feed.watchers[w.organization]) == 0 {
		delete(w.feed.watchers, w.organization)
	}
}

// Wake wakes those who watch an organization. It does not block.
func (f *Feed) Wake(organizationID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers[organizationID] {
		select {
		case w.woken <- struct{}{}:
		default: // it has not taken the last one yet
		}
	}
}

// Component looks for what other instances have changed, and removes what is old.
func (f *Feed) Component(source Source) lifecycle.Component {
	return lifecycle.Component{
		Name: "feed",
		Start: func(context.Context) error {
			var ctx context.Context
			ctx, f.stop = context.WithCancel(context.Background())
			f.running.Go(func() { f.look(ctx, source) })
			f.running.Go(func() { f.forget(ctx, source) })
			return nil
		},
		Stop: func(context.Context) error {
			f.stop()
			f.running.Wait()
			return nil
		},
	}
}

// look looks for changes until ctx ends.
func (f *Feed) look(ctx context.Context, source Source) {
	every := time.NewTicker(pollEvery)
	defer every.Stop()
	seen := map[string]int64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := f.poll(ctx, source, seen); err != nil && ctx.Err() == nil {
			// Watchers look by themselves now and then: the next time will do.
			f.log.WarnContext(ctx, "cannot look for changes of notes", "error", err)
		}
	}
}

// poll wakes the watchers of each organization that has a change after the one that was seen, or that was not looked at
// yet, and notes in seen what it has seen. What fails leaves the rest for the next time.
func (f *Feed) poll(ctx context.Context, source Source, seen map[string]int64) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	known, unknown := f.organizations(seen)
	for _, some := range known {
		newer, err := source.NewerChanges(ctx, some)
		if err != nil {
			return err
		}
		for organization, last := range newer {
			seen[organization] = last
			f.Wake(organization)
		}
	}
	for _, organization := range unknown {
		last, err := source.LastChange(ctx, organization)
		if err != nil {
			return err
		}
		seen[organization] = last
		// It may have changed between the watcher's own look and this one.
		f.Wake(organization)
	}
	return nil
}

// organizations returns what is watched: what was seen of those that were looked at, in parts of pollAtOnce, and the
// others. It removes from seen what is watched no more.
func (f *Feed) organizations(seen map[string]int64) (known []map[string]int64, unknown []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(seen, func(organization string, _ int64) bool { return f.watchers[organization] == nil })
	for organization := range f.watchers {
		last, looked := seen[organization]
		if !looked {
			unknown = append(unknown, organization)
			continue
		}
		if len(known) == 0 || len(known[len(known)-1]) == pollAtOnce {
			known = append(known, map[string]int64{})
		}
		known[len(known)-1][organization] = last
	}
	return known, unknown
}

// forget removes what is old now and then until ctx ends. It can take long, and so must not hold up look.
func (f *Feed) forget(ctx context.Context, source Source) {
	// Not all instances at once.
	next := time.NewTimer(rand.N(forgetEvery)) //nolint:gosec // jitter, no secret
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(forgetEvery)
		limited, cancel := context.WithTimeout(ctx, forgetTimeout)
		err := source.Forget(limited)
		cancel()
		if err != nil && ctx.Err() == nil {
			// Old changes do no harm: the next time will do.
			f.log.WarnContext(ctx, "cannot remove old changes of notes", "error", err)
		}
	}
}
