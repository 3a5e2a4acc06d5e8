// Package memory is a registry inside one process: for the platform in one process, and for tests.
//
// What is registered is visible when Register returns, and stays until it is deregistered: there are no health checks,
// because what serves and what looks live and die together. Views hold on to no goroutine, so there is nothing to close.
package memory

import (
	"context"
	"maps"
	"slices"
	"sync"

	"ashlar.dev/kernel/discovery"
)

// Registry implements discovery.Registrar and discovery.Directory. It is safe for concurrent use.
type Registry struct {
	mu        sync.Mutex
	instances map[string]discovery.Instance                      // by ID
	views     map[string]*discovery.Source[[]discovery.Instance] // by service
	services  *discovery.Source[[]string]
}

var (
	_ discovery.Registrar = (*Registry)(nil)
	_ discovery.Directory = (*Registry)(nil)
)

// New returns an empty registry.
func New() *Registry {
	r := &Registry{
		instances: make(map[string]discovery.Instance),
		views:     make(map[string]*discovery.Source[[]discovery.Instance]),
		services:  discovery.NewSource(slices.Equal[[]string]),
	}
	r.services.Set([]string{})
	return r
}

// Register implements discovery.Registrar. CheckURL is validated and otherwise ignored.
func (r *Registry) Register(ctx context.Context, registration discovery.Registration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := registration.Validate(); err != nil {
		return err
	}
	instance := registration.Instance
	instance.Metadata = maps.Clone(instance.Metadata) // the caller keeps its own

	r.mu.Lock()
	defer r.mu.Unlock()
	old, replaced := r.instances[instance.ID]
	r.instances[instance.ID] = instance
	if replaced && old.Service != instance.Service {
		r.show(old.Service)
	}
	r.show(instance.Service)
	return nil
}

// Deregister implements discovery.Registrar.
func (r *Registry) Deregister(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.instances[id]
	if !known {
		return nil
	}
	delete(r.instances, id)
	r.show(old.Service)
	return nil
}

// Instances implements discovery.Directory.
func (r *Registry) Instances(service string) *discovery.Watch[[]discovery.Instance] {
	r.mu.Lock()
	defer r.mu.Unlock()
	view, started := r.views[service]
	if !started {
		view = discovery.NewSource(discovery.SameInstances)
		r.views[service] = view
		view.Set(r.of(service))
	}
	return view.Watch()
}

// Services implements discovery.Directory.
func (r *Registry) Services() *discovery.Watch[[]string] { return r.services.Watch() }

// show brings the views up to date after a change of service. The caller holds mu.
func (r *Registry) show(service string) {
	if view, started := r.views[service]; started {
		view.Set(r.of(service))
	}
	names := make(map[string]struct{})
	for _, instance := range r.instances {
		names[instance.Service] = struct{}{}
	}
	r.services.Set(slices.Sorted(maps.Keys(names)))
}

// of lists the instances of service. The caller holds mu.
func (r *Registry) of(service string) []discovery.Instance {
	list := []discovery.Instance{}
	for _, instance := range r.instances {
		if instance.Service == service {
			list = append(list, instance)
		}
	}
	discovery.SortInstances(list)
	return list
}
