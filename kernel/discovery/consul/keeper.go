package consul

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"ashlar.dev/kernel/discovery"
)

// keeper keeps one registration.
type keeper struct {
	service string

	stop context.CancelFunc
	done chan struct{}
}

// Register implements discovery.Registrar. It asks the agent once; a caller that wants to wait for an agent calls it again.
func (r *Registry) Register(ctx context.Context, registration discovery.Registration) error {
	if err := registration.Validate(); err != nil {
		return err
	}
	definition, err := define(registration, r.tag)
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	old, err := r.release(ctx, registration.ID)
	if err != nil {
		return err
	}
	if old != "" && old != registration.Service {
		// Consul does not always wake those who watch the old name when an ID moves to another.
		if err := r.remove(ctx, registration.ID); err != nil {
			return err
		}
	}
	if err := r.announce(ctx, definition); err != nil {
		return err
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	keepCtx, stop := context.WithCancel(r.ctx)
	k := &keeper{service: registration.Service, stop: stop, done: make(chan struct{})}
	r.keepers[registration.ID] = k
	r.work.Go(func() {
		defer close(k.done)
		r.keep(keepCtx, definition)
	})
	return nil
}

// Deregister implements discovery.Registrar.
func (r *Registry) Deregister(ctx context.Context, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	if _, err := r.release(ctx, id); err != nil {
		return err
	}
	return r.remove(ctx, id)
}

// remove deregisters from the agent.
func (r *Registry) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := r.client.Agent().ServiceDeregisterOpts(id, (&api.QueryOptions{}).WithContext(ctx))
	if err == nil || isNotFound(err) {
		return nil
	}
	return r.failure(ctx, err)
}

// begin waits for its turn to change registrations.
func (r *Registry) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.registering <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.ctx.Err() != nil {
		r.end()
		return ErrClosed
	}
	return nil
}

func (r *Registry) end() { <-r.registering }

// release ends the keeper of id, if there is one, waits until it does nothing more, and returns the name of its service.
func (r *Registry) release(ctx context.Context, id string) (service string, err error) {
	r.mu.Lock()
	k := r.keepers[id]
	delete(r.keepers, id)
	r.mu.Unlock()
	if k == nil {
		return "", nil
	}
	k.stop()
	select {
	case <-k.done:
		return k.service, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// announce puts a new registration. Once the request is on its way it is not called back when ctx ends: the agent may carry
// it out all the same, after whatever is sent to take it back. The answer is waited for, for a moment.
func (r *Registry) announce(ctx context.Context, definition *api.AgentServiceRegistration) error {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(answerAfterAll):
			cancel()
		case <-sending.Done():
		}
	})()
	return r.put(sending, definition)
}

// put registers with the agent.
func (r *Registry) put(ctx context.Context, definition *api.AgentServiceRegistration) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := r.client.Agent().ServiceRegisterOpts(definition, api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx))
	return r.failure(ctx, err)
}

// failure explains err, unless it is that the caller's time is up.
func (r *Registry) failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	default:
		return r.explain(err)
	}
}

// keep watches the registration in the agent, and puts it back when it is lost, until ctx ends. The agent answers as
// soon as the registration changes or goes, so this costs one idle request.
func (r *Registry) keep(ctx context.Context, want *api.AgentServiceRegistration) {
	log := r.log.With("instance", want.ID)
	retry := newBackOff()
	pace := rate.NewLimiter(rate.Every(reregisterRate), 3)
	failing := false
	hash := ""
	for pace.Wait(ctx) == nil {
		have, meta, err := r.registered(ctx, want.ID, hash)
		if ctx.Err() != nil {
			return
		}
		if err == nil && same(have, want) {
			hash = meta.LastContentHash
			retry.Reset()
			if failing {
				log.Info("consul answers again; the instance is registered")
				failing = false
			}
			continue
		}
		hash = ""
		if err == nil || isNotFound(err) {
			if err == nil {
				log.Warn("another process has registered this instance ID differently; registering again", "theirs", net.JoinHostPort(have.Address, strconv.Itoa(have.Port)))
			}
			// Not ctx: Deregister must not overtake a request that is on its way.
			if err = r.put(r.ctx, want); err == nil {
				log.Info("consul had lost the registration; registered again")
				retry.Reset()
				failing = false
				continue
			}
		}
		if !failing {
			log.Warn("cannot keep the instance registered; trying again until it works", "error", err)
			failing = true
		}
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
}

// registered asks the agent for a registration; with a hash, once it differs from that.
func (r *Registry) registered(ctx context.Context, id, hash string) (*api.AgentService, *api.QueryMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, blockFor+answerWithin)
	defer cancel()
	q := &api.QueryOptions{WaitHash: hash}
	if hash != "" {
		q.WaitTime = blockFor
	}
	return r.client.Agent().Service(id, q.WithContext(ctx))
}

// define puts a valid registration into Consul's words.
func define(registration discovery.Registration, tag string) (*api.AgentServiceRegistration, error) {
	host, port, err := discovery.SplitAddress(registration.Address)
	if err != nil {
		return nil, err
	}
	meta := maps.Clone(registration.Metadata)
	if meta == nil {
		meta = make(map[string]string, 1)
	}
	if registration.Version != "" {
		meta[discovery.MetadataVersion] = registration.Version
	}
	definition := &api.AgentServiceRegistration{
		ID:      registration.ID,
		Name:    registration.Service,
		Tags:    slices.Compact([]string{Tag, tag}),
		Address: host,
		Port:    port,
		Meta:    meta,
	}
	if registration.CheckURL != "" {
		definition.Check = &api.AgentServiceCheck{
			Name:                           "ready",
			HTTP:                           registration.CheckURL,
			Method:                         http.MethodGet,
			Interval:                       checkInterval.String(),
			Timeout:                        checkTimeout.String(),
			Status:                         api.HealthPassing, // who registers can serve; the first check runs within the interval
			DeregisterCriticalServiceAfter: deregisterAfter.String(),
		}
	}
	return definition, nil
}

// same reports whether the agent has what we want it to have.
func same(have *api.AgentService, want *api.AgentServiceRegistration) bool {
	return have.Service == want.Name && have.Address == want.Address && have.Port == want.Port &&
		slices.Equal(have.Tags, want.Tags) && maps.Equal(have.Meta, want.Meta)
}

func isNotFound(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	return ok && status.Code == http.StatusNotFound
}
