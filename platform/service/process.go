package service

import (
	"context"
	"os"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
)

// NewProcess puts together a service that has a process of its own: it is found in Consul, and finds others there.
func NewProcess(cfg Config, module Module) (*lifecycle.Group, error) {
	cfg.InstanceID = InstanceID(cfg, module.Manifest.Name)
	t, err := telemetry.New(context.Background(), cfg.Config, telemetry.Process{
		Service: module.Manifest.Name, Version: module.Manifest.Version, InstanceID: cfg.InstanceID,
	}, os.Stderr)
	if err != nil {
		return nil, err
	}
	env, err := NewConsulEnvironment(cfg, t.Log)
	if err != nil {
		return nil, err
	}
	var group *lifecycle.Group
	s, err := New(context.Background(), cfg, module, env, t, func(component string, err error) { group.Fail(component, err) })
	if err != nil {
		return nil, err
	}
	group, err = lifecycle.NewGroup(t.Log, append(env.Components, s.Components()...)...)
	return group, err
}
