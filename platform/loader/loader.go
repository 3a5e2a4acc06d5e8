// Package loader loads modules into one process: it puts them into an order, builds all, starts each as soon as those that
// it depends on are ready and side by side with those that it has no order with, and stops them in reverse. It knows
// services by their modules only.
package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/platform/core"
	"ashlar.dev/platform/service"
)

// Config is how modules are loaded.
type Config struct {
	// Environment is what all of them find around them; the loader starts and stops it, too.
	Environment *service.Environment
	// Service returns the configuration of one service.
	Service func(name string) service.Config
	// More, if it is not nil, returns components beside those of the services. ready names the components after whose
	// start all services are ready.
	More func(ready []string) ([]lifecycle.Component, error)
	// Out is where services log, Log where the loader does.
	Out io.Writer
	Log *slog.Logger
	// Fail is told when a part of a running service cannot go on.
	Fail service.Fail
}

// Loader is modules that were loaded, and not started yet. Start and Stop are called once each; the other methods may be
// called from any goroutine.
type Loader struct {
	positions []manifest.Position
	services  []*service.Service
	group     *lifecycle.Group

	mu           sync.Mutex
	begun        time.Time
	started      error
	took, ending time.Duration
}

// New builds the wanted modules and those that they depend on; without wanted names all of them. It does no I/O. Its
// errors are all that stand in the way: see manifest.Resolve.
func New(ctx context.Context, cfg Config, modules []service.Module, wanted ...string) (*Loader, error) {
	byName := map[string]service.Module{}
	manifests := make([]*manifest.Manifest, len(modules))
	for i, module := range modules {
		manifests[i] = module.Manifest()
		byName[manifests[i].Name] = module
	}
	positions, err := manifest.Resolve(manifests, core.Rules(), wanted...)
	if err != nil {
		return nil, err
	}
	l := &Loader{positions: positions}
	components, err := l.build(ctx, cfg, byName)
	if err == nil {
		l.group, err = lifecycle.NewGroup(cfg.Log, components...)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *Loader) build(ctx context.Context, cfg Config, modules map[string]service.Module) ([]lifecycle.Component, error) {
	components := slices.Clone(cfg.Environment.Components)
	var ready []string
	var errs []error
	for _, p := range l.positions {
		own, err := l.add(ctx, cfg, p, modules[p.Manifest.Name])
		errs = append(errs, err)
		components = append(components, own...)
		ready = append(ready, service.Registration(p.Manifest.Name))
	}
	if err := errors.Join(errs...); err != nil || cfg.More == nil {
		return components, err
	}
	more, err := cfg.More(ready)
	return append(components, more...), err
}

func (l *Loader) add(ctx context.Context, cfg Config, p manifest.Position, module service.Module) ([]lifecycle.Component, error) {
	name := p.Manifest.Name
	own := cfg.Service(name)
	own.InstanceID = service.InstanceID(own, name)
	t, err := telemetry.New(ctx, own.Config, telemetry.Process{
		Service: name, Version: p.Manifest.Version, InstanceID: own.InstanceID,
	}, cfg.Out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := service.New(ctx, own, module, cfg.Environment, t, cfg.Fail)
	if err != nil {
		return nil, err
	}
	l.services = append(l.services, s)
	return l.order(p, s.Components()), nil
}

// Start starts everything and returns when all is ready. When a part fails, or ctx ends, those that are starting are
// given up, and what had started is stopped; see lifecycle.Group for the error.
func (l *Loader) Start(ctx context.Context) error {
	l.mu.Lock()
	l.begun = time.Now()
	l.mu.Unlock()
	err := l.group.Start(ctx)
	l.mu.Lock()
	l.took, l.started = time.Since(l.begun), err
	l.mu.Unlock()
	if err != nil {
		err = errors.Join(err, l.close())
	}
	return err
}

// Stop stops everything, each part with a budget of its own.
func (l *Loader) Stop(ctx context.Context) error {
	begun := time.Now()
	err := errors.Join(l.group.Stop(ctx), l.close())
	l.mu.Lock()
	l.ending = time.Since(begun)
	l.mu.Unlock()
	return err
}

// close closes what those have from the beginning that were not started.
func (l *Loader) close() error {
	var errs []error
	for _, s := range l.services {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Component returns the loader as one component of a process.
func (l *Loader) Component(name string) lifecycle.Component {
	c := l.group.Component(name)
	c.Start, c.Stop = l.Start, l.Stop
	return c
}
