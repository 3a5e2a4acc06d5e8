package service

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/memory"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

// Environment is what a service finds around it: who is there, how to be found, and how to call others.
type Environment struct {
	Registrar discovery.Registrar
	Directory discovery.Directory
	// Key is the cluster key.
	Key workload.ClusterKey
	// RoundTripper sends HTTP requests to an instance of the service that the URL's host names.
	RoundTripper http.RoundTripper
	// Hub, if it is not nil, holds the services that live in this process; calls between them go through it.
	Hub *rpc.Hub
	// Metrics are those of the environment; nil: it has none.
	Metrics prometheus.Collector
	// Components keep the environment going; those of services come after them.
	Components []lifecycle.Component
}

// NewLocalEnvironment returns the environment of services that all live in this process.
func NewLocalEnvironment(key workload.ClusterKey) *Environment {
	registry := memory.New()
	base := balance.DefaultBase()
	return &Environment{
		Registrar: registry, Directory: registry, Key: key,
		RoundTripper: balance.New(registry, base), Hub: rpc.NewHub(),
		Components: []lifecycle.Component{{
			Name: "environment",
			Stop: func(context.Context) error { base.CloseIdleConnections(); return nil },
		}},
	}
}

// NewConsulEnvironment returns the environment of a service that has a process of its own and is found in Consul.
func NewConsulEnvironment(cfg Config, log *slog.Logger) (*Environment, error) {
	if cfg.ClusterKeyFile == "" {
		return nil, errors.New("ASHLAR_CLUSTER_KEY_FILE is not set: it names the file with the key by which services know each other")
	}
	key, err := workload.ReadClusterKey(cfg.ClusterKeyFile)
	if err != nil {
		return nil, err
	}
	registry, err := consul.New(consul.Config{Address: cfg.ConsulAddr, Token: cfg.ConsulToken, Platform: key.Fingerprint()}, log)
	if err != nil {
		return nil, err
	}
	base := balance.DefaultBase()
	return &Environment{
		Registrar: registry, Directory: registry, Key: key, RoundTripper: balance.New(registry, base, balance.WithZone(cfg.Zone)), Metrics: registry,
		Components: []lifecycle.Component{{
			Name:  "environment",
			Start: registry.Ping,
			Stop: func(context.Context) error {
				base.CloseIdleConnections()
				return registry.Close()
			},
		}},
	}, nil
}

// Clients returns the clients by which the named service calls others.
func (e *Environment) Clients(service string, t *telemetry.Telemetry) (*rpc.Clients, error) {
	prover := workload.NewTokens(service, e.Key)
	if e.Hub != nil {
		return rpc.NewLocalClients(t, prover, e.Hub)
	}
	return rpc.NewClients(t, prover, e.RoundTripper)
}
