package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
)

// Where says which platform a command is about: that of a Consul, or the one that `up` runs on this machine.
type Where struct {
	local.HomeFlag

	ConsulAddr     string `help:"Address of the Consul agent; where not set, the one of the platform that runs on the home folder (${env})." env:"ASHLAR_CONSUL_ADDR,CONSUL_HTTP_ADDR" placeholder:"HOST:PORT"`
	ClusterKeyFile string `help:"File with the platform's cluster key, which tells platforms in one Consul apart and proves who asks; where not set, the one in the home folder (${env})." env:"ASHLAR_CLUSTER_KEY_FILE" placeholder:"FILE"`
}

// platform is what a command looks at.
type platform struct {
	registry *consul.Registry
	address  string // of Consul
	key      *workload.ClusterKey
	units    []*localv1.Unit // of the `up` on this machine, if it is that platform; else nil
}

// open finds the platform. It does not ask Consul anything.
func (w Where) open(ctx context.Context) (*platform, error) {
	p := &platform{address: w.ConsulAddr}
	if err := w.readKey(p); err != nil {
		return nil, err
	}
	running, err := w.running(ctx)
	switch {
	case err == nil && (p.address == "" || p.address == running.GetConsulAddress()):
		p.address, p.units = running.GetConsulAddress(), running.GetUnits()
	case p.address == "" && errors.Is(err, local.ErrNotRunning):
		return nil, exit.With(exit.NoConsul, fmt.Errorf("no platform runs on %s, and no Consul is named: start one with `platformctl up`, or name one with --consul-addr or CONSUL_HTTP_ADDR", w.Home))
	case p.address == "":
		return nil, err
	}
	cfg := consul.Config{Address: p.address, Token: local.ConsulToken()}
	if p.key != nil {
		cfg.Platform = p.key.Fingerprint()
	}
	p.registry, err = consul.New(cfg, nil)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	return p, nil
}

// running asks the `up` on this machine.
func (w Where) running(ctx context.Context) (*localv1.ListUnitsResponse, error) {
	supervisor, err := local.Dial(ctx, w.Home)
	if err != nil {
		return nil, err
	}
	defer supervisor.Close(ctx)
	return supervisor.List(ctx)
}

// readKey reads the cluster key, if there is one.
func (w Where) readKey(p *platform) error {
	path := w.ClusterKeyFile
	if path == "" {
		path = filepath.Join(w.Home, "cluster.key")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	key, err := workload.ReadClusterKey(path)
	if err != nil {
		return err
	}
	p.key = &key
	return nil
}

func (p *platform) close() { _ = p.registry.Close() }

// overview asks Consul for all instances.
func (p *platform) overview(ctx context.Context) ([]consul.Seen, error) {
	seen, err := p.registry.Overview(ctx)
	if err == nil {
		return seen, nil
	}
	if ctx.Err() != nil {
		return nil, exit.With(exit.Interrupted, err)
	}
	return nil, exit.With(exit.NoConsul, err)
}

// look returns all instances that Consul knows, and the units of up.
func (w Where) look(ctx context.Context) ([]consul.Seen, []*localv1.Unit, error) {
	p, err := w.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer p.close()
	seen, err := p.overview(ctx)
	return seen, p.units, err
}

// services returns what Consul and up know of the services now.
func (w Where) services(ctx context.Context) ([]Service, error) {
	seen, units, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	return collect(seen, units, time.Now()), nil
}

// Instances returns the instances of a service that Consul knows, healthy or not.
func (w Where) Instances(ctx context.Context, service string) ([]consul.Seen, error) {
	seen, _, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(seen, func(s consul.Seen) bool { return s.Service != service }), nil
}
