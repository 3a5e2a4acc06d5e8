// Package allinone puts every service and the gateway into one process, without Consul: for development and tests.
// Services call each other within the process; the gateway reaches them over loopback, as it would anywhere.
package allinone

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/audit"
	"ashlar.dev/services/auth"
	"ashlar.dev/services/authz"
	"ashlar.dev/services/identity"
)

// Config is what the one process can be told.
type Config struct {
	// Key is the cluster key.
	Key workload.ClusterKey
	// Database gives the address of each service's database.
	Database func(service string) config.Secret
	// Gateway is the gateway's configuration; the services take what is common to all processes from it.
	Gateway gateway.Config
	// AdminEmail and AdminPasswordFile are the first administrator's; empty: there is none.
	AdminEmail, AdminPasswordFile string
	// Log is where all log.
	Log io.Writer
}

// Platform is all services and the gateway, put together and not yet started.
type Platform struct {
	// Gateway is the single entry point.
	Gateway *gateway.Gateway

	env        *service.Environment
	components []lifecycle.Component
	log        *slog.Logger
	group      *lifecycle.Group
}

// New puts the platform together, and with it modules of a team's own.
func New(ctx context.Context, cfg Config, more ...service.Module) (*Platform, error) {
	p := &Platform{env: service.NewLocalEnvironment(cfg.Key)}
	p.components = p.env.Components
	core := []service.Module{authz.Module(), audit.Module(audit.Config{}), identity.Module(), auth.Module(auth.Config{
		Config: cfg.Gateway.Config, AdminEmail: cfg.AdminEmail, AdminPasswordFile: cfg.AdminPasswordFile,
	})}
	for _, module := range append(core, more...) {
		if err := p.add(ctx, cfg, module); err != nil {
			return nil, err
		}
	}
	t, err := newTelemetry(ctx, cfg, gateway.Name, gateway.Version)
	if err != nil {
		return nil, err
	}
	own := cfg.Gateway
	own.InstanceID = ""
	if p.Gateway, err = gateway.New(own, p.env, t, p.fail); err != nil {
		return nil, err
	}
	p.components = append(p.components, p.Gateway.Components()...)
	p.log = t.Log
	return p, nil
}

// With returns what runs the platform, with one component that starts before everything else, and one that starts when
// all is ready. It is called once.
func (p *Platform) With(first, last lifecycle.Component) (*lifecycle.Group, error) {
	components := append([]lifecycle.Component(nil), p.components...)
	for i := range components {
		last.After = append(last.After, components[i].Name)
		components[i].After = append(components[i].After, first.Name)
	}
	var err error
	p.group, err = lifecycle.NewGroup(p.log, append(components, first, last)...)
	return p.group, err
}

// fail ends the process when a part of it cannot go on.
func (p *Platform) fail(component string, err error) { p.group.Fail(component, err) }

func (p *Platform) add(ctx context.Context, cfg Config, module service.Module) error {
	name := module.Manifest.Name
	own := cfg.Gateway.Config
	own.ListenAddr, own.DatabaseURL, own.InstanceID = loopback, cfg.Database(name), ""
	// One process has one listener for operations: the gateway's.
	own.OpsAddr = ""
	t, err := newTelemetry(ctx, cfg, name, module.Manifest.Version)
	if err != nil {
		return err
	}
	s, err := service.New(ctx, own, module, p.env, t, p.fail)
	if err != nil {
		return err
	}
	components := s.Components()
	for _, dependency := range module.Manifest.DependsOn {
		// In one group a service that waited for one that starts later would wait for ever.
		components[0].After = append(components[0].After, service.Registration(dependency))
	}
	p.components = append(p.components, components...)
	return nil
}

// loopback is where the services listen for the gateway.
const loopback = "127.0.0.1:0"

func newTelemetry(ctx context.Context, cfg Config, name, version string) (*telemetry.Telemetry, error) {
	t, err := telemetry.New(ctx, cfg.Gateway.Config.Config, telemetry.Process{Service: name, Version: version, InstanceID: name}, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}
