// Package allinone puts the core services, the gateway, and modules of a team's own into one process, without Consul:
// for development and tests. Services call each other within the process; the gateway reaches them over loopback, as it
// would anywhere. It must not know which other modules there are: a program that wants them lists them.
package allinone

import (
	"context"
	"fmt"
	"io"
	"slices"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/loader"
	"ashlar.dev/platform/service"
	"ashlar.dev/platform/trail"
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
	// AdminEmail is the first administrator's address; empty: there is none. The password is in one of the other two.
	AdminEmail, AdminPasswordFile string
	AdminPassword                 config.Secret
	// Auth makes the module of auth; nil: auth.Module.
	Auth func(auth.Config) service.Module
	// Log is where all log.
	Log io.Writer
	// Fail is told when a part of the running platform cannot go on.
	Fail service.Fail
}

// Platform is services and the gateway, put together and not yet started.
type Platform struct {
	*loader.Loader

	// Gateway is the single entry point; nil where only services are loaded.
	Gateway *gateway.Gateway
	// Environment is what services find around them.
	Environment *service.Environment
}

// New puts the platform together: the core services, the gateway, and modules of a team's own.
func New(ctx context.Context, cfg Config, more ...service.Module) (*Platform, error) {
	p, t, err := newPlatform(ctx, cfg)
	if err != nil {
		return nil, err
	}
	own := cfg.Gateway
	own.InstanceID = ""
	p.Gateway, err = gateway.New(own, p.Environment, t, cfg.Fail) //nolint:contextcheck // what watches the certificate outlives this call
	if err != nil {
		return nil, err
	}
	p.Loader, err = loader.New(ctx, p.loading(cfg, t, p.front), modules(cfg, more))
	return p, err
}

// NewServices puts the named services together with those that they depend on, of the core services and a team's own, and
// with audit, to which all deliver; without the gateway.
func NewServices(ctx context.Context, cfg Config, more []service.Module, wanted ...string) (*Platform, error) {
	p, t, err := newPlatform(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if len(wanted) > 0 {
		wanted = append(slices.Clone(wanted), trail.Service)
	}
	p.Loader, err = loader.New(ctx, p.loading(cfg, t, nil), modules(cfg, more), wanted...)
	return p, err
}

func newPlatform(ctx context.Context, cfg Config) (*Platform, *telemetry.Telemetry, error) {
	t, err := telemetry.New(ctx, cfg.Gateway.Config.Config, telemetry.Process{Service: gateway.Name, Version: gateway.Version, InstanceID: gateway.Name}, cfg.Log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", gateway.Name, err)
	}
	return &Platform{Environment: service.NewLocalEnvironment(cfg.Key)}, t, nil
}

func modules(cfg Config, more []service.Module) []service.Module {
	newAuth := cfg.Auth
	if newAuth == nil {
		newAuth = auth.Module
	}
	core := []service.Module{authz.Module(), audit.Module(audit.Config{}), identity.Module(), newAuth(auth.Config{
		Config: cfg.Gateway.Config, AdminEmail: cfg.AdminEmail, AdminPassword: cfg.AdminPassword, AdminPasswordFile: cfg.AdminPasswordFile,
	})}
	return append(core, more...)
}

func (p *Platform) loading(cfg Config, t *telemetry.Telemetry, more func([]string) ([]lifecycle.Component, error)) loader.Config {
	return loader.Config{
		Environment: p.Environment, More: more, Out: cfg.Log, Log: t.Log, Fail: cfg.Fail,
		Service: func(name string) service.Config {
			own := cfg.Gateway.Config
			own.ListenAddr, own.DatabaseURL, own.DatabaseURLFile, own.InstanceID = loopback, cfg.Database(name), "", ""
			// One process has one listener for operations: the gateway's.
			own.OpsAddr = ""
			return own
		},
	}
}

// front returns the gateway's components, which open the door when all services are ready, and close it first.
func (p *Platform) front(ready []string) ([]lifecycle.Component, error) {
	components := slices.Clone(p.Gateway.Components())
	door := slices.IndexFunc(components, func(c lifecycle.Component) bool { return c.Name == gateway.Door })
	components[door].After = append(slices.Clone(components[door].After), ready...)
	return components, nil
}

// loopback is where the services listen for the gateway.
const loopback = "127.0.0.1:0"
