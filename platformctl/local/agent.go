package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/freeport"
	"ashlar.dev/platformctl/exit"
)

const (
	consulPort     = 8500 // where Consul's own commands look
	agentTries     = 3
	pingInterval   = 20 * time.Millisecond
	pingTimeout    = 5 * time.Second
	agentReadyTime = 30 * time.Second
)

// agent is a Consul agent for development: one server, all state in memory. Services register again with one that was
// started anew.
type agent struct {
	binary             string
	environ            []string
	node               string // its name, which nobody else has
	http, server, serf int    // ports
	registry           *consul.Registry
	client             *http.Client
}

// findConsul returns the path of the consul program: the one on PATH, else the one beside the platform's programs.
func findConsul(bin string) (string, error) {
	if path, err := exec.LookPath("consul"); err == nil {
		return path, nil
	}
	path := filepath.Join(bin, "consul")
	if _, err := exec.LookPath(path); err == nil {
		return path, nil
	}
	return "", exit.With(exit.NoConsul, fmt.Errorf("there is no Consul: CONSUL_HTTP_ADDR is not set, consul is not on PATH, and %s is missing: "+
		"`./taskw up` builds it; or set CONSUL_HTTP_ADDR to an agent that runs", path))
}

// newAgent returns an agent on free ports, on Consul's usual one if it is free.
func newAgent(ctx context.Context, binary string, environ []string) (*agent, error) {
	ports, err := freeport.Choose(ctx, 3)
	if err != nil {
		return nil, err
	}
	a := &agent{
		binary: binary, node: newInstanceID("ashlar"), http: ports[0], server: ports[1], serf: ports[2],
		client: &http.Client{Timeout: pingTimeout, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if freeport.Free(ctx, consulPort) {
		a.http = consulPort
	}
	// Consul's variables are for other agents and for its clients; ours hold passwords.
	a.environ = slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return strings.HasPrefix(v, "CONSUL_") || strings.HasPrefix(v, prefix)
	})
	a.registry, err = consul.New(consul.Config{Address: freeport.Address(a.http)}, nil)
	return a, err
}

// next implements kind: services know the agent by its address, so each process has the same.
func (a *agent) next(context.Context) (instance, error) { return a, nil }

func (a *agent) alone() bool { return true }

func (a *agent) command() (*exec.Cmd, error) {
	cmd := exec.Command(a.binary, "agent", "-dev", "-node="+a.node, "-bind="+freeport.Host, "-client="+freeport.Host,
		"-http-port="+strconv.Itoa(a.http), "-server-port="+strconv.Itoa(a.server), "-serf-lan-port="+strconv.Itoa(a.serf),
		"-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=disable_update_check = true", "-log-level=warn")
	cmd.Env = a.environ
	return cmd, nil
}

func (a *agent) await(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, agentReadyTime)
	defer cancel()
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		err := a.registry.Ping(ctx)
		if err == nil {
			err = a.isOurs(ctx)
		}
		if err == nil {
			return freeport.Address(a.http), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("not ready within %s: %w", agentReadyTime, err)
		case <-tick.C:
		}
	}
}

// isOurs makes sure that not somebody else's agent answers, who took the port before ours could.
func (a *agent) isOurs(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+freeport.Address(a.http)+"/v1/agent/self", nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var self struct {
		Config struct {
			NodeName string `json:"NodeName"`
		} `json:"Config"`
	}
	if err := json.NewDecoder(response.Body).Decode(&self); err != nil {
		return fmt.Errorf("ask Consul at %s for its name: %w", freeport.Address(a.http), err)
	}
	if self.Config.NodeName != a.node {
		return fmt.Errorf("another Consul agent (%s) has the address %s", self.Config.NodeName, freeport.Address(a.http))
	}
	return nil
}

func (a *agent) waitsFor(context.Context) string { return "" }

func (a *agent) lost(context.Context) {}

// orderly is always true: Consul ends with status 1 when it is asked to end.
func (a *agent) orderly(*process) bool { return true }

// startAgent starts a Consul agent and waits until it is ready.
func startAgent(ctx context.Context, s *supervisor, binary string, environ []string, log string) (*unit, *consul.Registry, error) {
	var failure error
	// Another process may take a port before the agent does.
	for range agentTries {
		a, err := newAgent(ctx, binary, environ)
		if err != nil {
			return nil, nil, err
		}
		u := newUnit(consulName, log, a)
		u.want(true)
		if failure = s.launch(ctx, u); failure == nil {
			failure = s.await(ctx, u, u.process())
		}
		if failure == nil {
			return u, a.registry, nil
		}
		failure = errors.Join(failure, a.registry.Close(), s.stop(ctx, u, u.process()))
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
	}
	return nil, nil, exit.With(exit.NoConsul, failure)
}

// ConsulToken is the token for Consul's access control, which is never an argument; where it is empty, Consul's own
// variables count.
func ConsulToken() config.Secret { return config.Secret(os.Getenv("ASHLAR_CONSUL_TOKEN")) }

// findAgent returns the Consul agent at an address, which must answer.
func findAgent(ctx context.Context, address string) (*consul.Registry, error) {
	registry, err := consul.New(consul.Config{Address: address, Token: ConsulToken()}, nil)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if err := registry.Ping(ctx); err != nil {
		return nil, exit.With(exit.NoConsul, errors.Join(err, registry.Close()))
	}
	return registry, nil
}
