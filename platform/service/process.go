package service

import (
	"context"
	"fmt"
	"os"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
)

// NewProcess puts together a service that has a process of its own: it is found in Consul, and finds others there.
func NewProcess(cfg Config, module Module) (*lifecycle.Group, error) {
	m := module.Manifest()
	return Process(cfg, m.Name, m.Version, func(cfg Config, env *Environment, t *telemetry.Telemetry, fail Fail) ([]lifecycle.Component, error) {
		s, err := New(context.Background(), cfg, module, env, t, fail)
		if err != nil {
			return nil, err
		}
		return s.Components(), nil
	})
}

// Fail reports that a part of a running process cannot go on.
type Fail = func(component string, err error)

// Build puts together what a process runs, in its environment. The configuration that it gets names the instance.
type Build func(cfg Config, env *Environment, t *telemetry.Telemetry, fail Fail) ([]lifecycle.Component, error)

// Process puts together a process of the platform, whatever it runs: its telemetry, its place in Consul, and what build
// makes.
func Process(cfg Config, name, version string, build Build) (*lifecycle.Group, error) {
	if w := cfg.Weight; w != nil && (*w < 0 || *w > discovery.MaxWeight) {
		return nil, fmt.Errorf("weight %d: want 0 to %d", *w, discovery.MaxWeight)
	}
	cfg.InstanceID = InstanceID(cfg, name)
	t, err := telemetry.New(context.Background(), cfg.Config, telemetry.Process{
		Service: name, Version: version, InstanceID: cfg.InstanceID,
	}, os.Stderr)
	if err != nil {
		return nil, err
	}
	env, err := NewConsulEnvironment(cfg, t.Log)
	if err != nil {
		return nil, err
	}
	if env.Metrics != nil {
		if err := t.Metrics.Register(env.Metrics); err != nil {
			return nil, err
		}
	}
	var group *lifecycle.Group
	components, err := build(cfg, env, t, func(component string, err error) { group.Fail(component, err) })
	if err != nil {
		return nil, err
	}
	group, err = lifecycle.NewGroup(t.Log, append(env.Components, components...)...)
	return group, err
}
