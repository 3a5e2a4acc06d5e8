package gateway

import (
	"context"
	"os"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/platform/service"
)

// NewProcess puts together a gateway that has a process of its own and finds services in Consul.
func NewProcess(cfg Config) (*lifecycle.Group, error) {
	cfg.InstanceID = service.InstanceID(cfg.Config, Name)
	t, err := telemetry.New(context.Background(), cfg.Config.Config, telemetry.Process{
		Service: Name, Version: Version, InstanceID: cfg.InstanceID,
	}, os.Stderr)
	if err != nil {
		return nil, err
	}
	env, err := service.NewConsulEnvironment(cfg.Config, t.Log)
	if err != nil {
		return nil, err
	}
	var group *lifecycle.Group
	g, err := New(cfg, env, t, func(component string, err error) { group.Fail(component, err) })
	if err != nil {
		return nil, err
	}
	group, err = lifecycle.NewGroup(t.Log, append(env.Components, g.Components()...)...)
	return group, err
}
