// Package feed wakes those who watch an organization's notes when there may be something new. It is a hint and no more:
// what is new, and for whom, they find out from the store, each at a pace of their own, so nothing is queued for them here.
package feed

import (
	"context"
	"log/slog"
	"maps"
	"slices"
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
	// LastChanges returns the id of the newest change of each organization that has one.
	LastChanges(ctx context.Context, organizationIDs []string) (map[string]int64, error)
	// Forget removes old changes.
	Forget(ctx context.Context) error
}

// Feed is safe for concurrent use.
type Feed struct {
	log *slog.Logger

	mu       sync.Mutex
	watchers map[string]map[*Watch]struct{}

	stop context.CancelFunc
	done chan struct{}
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
	return &Feed{log: log, watchers: map[string]map[*Watch]struct{}{}, done: make(chan struct{})}
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
			go f.run(ctx, source)
			return nil
		},
		Stop: func(context.Context) error {
			f.stop()
			<-f.done
			return nil
		},
	}
}

func (f *Feed) run(ctx context.Context, source Source) {
	defer close(f.done)
	poll, forget := time.NewTicker(pollEvery), time.NewTicker(forgetEvery)
	defer poll.Stop()
	defer forget.Stop()
	seen := map[string]int64{}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			seen, err = f.poll(ctx, source, seen)
		case <-forget.C:
			limited, cancel := context.WithTimeout(ctx, forgetTimeout)
			err = source.Forget(limited)
			cancel()
		}
		if err != nil && ctx.Err() == nil {
			// Watchers look by themselves now and then, and old changes do no harm: the next time will do.
			f.log.WarnContext(ctx, "cannot look for changes of notes", "error", err)
		}
	}
}

// poll wakes the watchers of each organization whose newest change is another than the one that was seen, and returns
// those that it has seen now.
func (f *Feed) poll(ctx context.Context, source Source, seen map[string]int64) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	now := make(map[string]int64, len(seen))
	for organizations := range slices.Chunk(f.organizations(), pollAtOnce) {
		last, err := source.LastChanges(ctx, organizations)
		if err != nil {
			return seen, err
		}
		for _, organization := range organizations {
			// What is watched only since the last time may have changed in between.
			if before, known := seen[organization]; !known || before != last[organization] {
				f.Wake(organization)
			}
			now[organization] = last[organization]
		}
	}
	return now, nil
}

func (f *Feed) organizations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.watchers))
}
