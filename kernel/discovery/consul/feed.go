package consul

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"ashlar.dev/kernel/discovery"
)

var errNoLeader = errors.New("consul has no leader")

// feed follows one list in Consul into one view.
type feed[E any] struct {
	what string // for the log
	ask  func(*api.QueryOptions) ([]E, *api.QueryMeta, error)
	view *view[E]
	out  *discovery.Source[[]E]
	// confirmed is when Consul last answered: Unix nanoseconds.
	confirmed *atomic.Int64
}

// start runs f until the registry is closed. The caller holds r.mu.
func start[E any](r *Registry, f feed[E]) {
	if r.closed {
		return
	}
	f.confirmed = &atomic.Int64{}
	f.confirmed.Store(time.Now().UnixNano())
	r.confirmed[f.what] = f.confirmed
	r.work.Go(func() { follow(r, f) })
}

// follow asks, shows the answer, and asks for what is newer than that.
func follow[E any](r *Registry, f feed[E]) {
	log := r.log.With("view", f.what)
	retry := newBackOff()
	pace := rate.NewLimiter(rate.Every(queryEvery), queryBurst)
	failing := false
	var index uint64
	for pace.Wait(r.ctx) == nil {
		answer, meta, err := query(r.ctx, f, index)
		if r.ctx.Err() != nil {
			return
		}
		if err == nil && !meta.KnownLeader && meta.QueryBackend != api.QueryBackendStreaming {
			err = errNoLeader // Consul's streams never say whether there is one
		}
		if err != nil {
			if !failing {
				log.Warn("consul does not answer; the last view stays, trying again until it works", "error", r.explain(err))
				failing = true
			}
			// Whatever Consul is when it answers again, it may count from anywhere: ask from the start.
			index = 0
			f.view.fault()
			if !pause(r.ctx, retry.NextBackOff()) {
				return
			}
			continue
		}
		retry.Reset()
		if failing {
			log.Info("consul answers again")
			failing = false
		}
		switch {
		case meta.LastIndex < index:
			log.Debug("consul's index went back, so it may have lost state; asking from the start", "from", index, "to", meta.LastIndex)
			index = 0
			f.view.fault()
		case meta.LastIndex == index:
			// Time is up without news. An agent answers blocking queries from a stream of its own, which a fault between
			// agent and servers can leave behind; a query without an index is answered by the leader.
			index = 0
		default:
			index = meta.LastIndex
		}
		f.out.Set(f.view.update(answer, time.Now()))
		f.confirmed.Store(time.Now().UnixNano())
	}
}

// query asks once: for what is there now, or, with an index, for what is newer than that.
func query[E any](ctx context.Context, f feed[E], index uint64) ([]E, *api.QueryMeta, error) {
	q := &api.QueryOptions{WaitIndex: index, WaitTime: f.view.look()}
	// An agent that hangs, or a connection that is dead without a word, must not hold the view for good. Consul adds up to a
	// sixteenth to the wait.
	ctx, cancel := context.WithTimeout(ctx, q.WaitTime+q.WaitTime/16+answerWithin)
	defer cancel()
	return f.ask(q.WithContext(ctx))
}

// healthy lists the instances of service whose checks pass.
func (r *Registry) healthy(service string, q *api.QueryOptions) ([]discovery.Instance, *api.QueryMeta, error) {
	entries, meta, err := r.client.Health().Service(service, r.tag, true, q)
	if err != nil {
		return nil, nil, err
	}
	list := make([]discovery.Instance, 0, len(entries))
	for _, entry := range entries {
		list = append(list, instance(entry))
	}
	return list, meta, nil
}

// tagged lists the services of the platform.
func (r *Registry) tagged(q *api.QueryOptions) ([]string, *api.QueryMeta, error) {
	all, meta, err := r.client.Catalog().Services(q)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, 0, len(all))
	for name, tags := range all {
		if slices.Contains(tags, r.tag) {
			names = append(names, name)
		}
	}
	return names, meta, nil
}
