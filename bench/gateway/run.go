package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ashlar.dev/kernel/freeport"
	"ashlar.dev/kernel/workload"
)

// clusterKeyFile is the key of the platform, in the work folder.
const clusterKeyFile = "cluster.key"

// runCommand measures.
type runCommand struct {
	Gateway string        `help:"The gateway's program." required:"" type:"existingfile"`
	Consul  string        `help:"Consul's program." required:"" type:"existingfile"`
	Caddy   string        `help:"The program of bench/gateway/caddy; without it Caddy is no peer." type:"existingfile"`
	Rounds  int           `help:"Rounds; the median of them counts." default:"5"`
	Time    time.Duration `help:"How long each target is under load in each round of a scenario." default:"2s"`
	Short   bool          `help:"One short round, to see that everything works."`
	Only    []string      `help:"Scenarios to run: post-32, post-256, grpc, stream, grpc-stream, routes, idle; all where not set."`
	Profile string        `help:"Folder for the logs of the processes; a temporary one where not set." type:"path"`
}

// target is something that requests are sent to; process is nil for the backend itself.
type target struct {
	name    string
	address string
	process *process
	token   string // where it takes another one than the rest
	checks  bool   // a peer that verifies tokens and limits rates, as the gateway does
}

// Run starts everything, measures and prints.
func (c runCommand) Run(ctx context.Context) error {
	if c.Short {
		c.Rounds, c.Time = 1, 300*time.Millisecond
	}
	w, end, err := newWorld(c)
	if err != nil {
		return err
	}
	defer end()
	if err := w.start(ctx); err != nil {
		return err
	}
	return w.measure(ctx)
}

// world is what is under measurement.
type world struct {
	folder     string
	command    runCommand
	keep       func(*process)
	backend    target
	gateway    target
	manyRoutes target
	// bare, bareH2: the peer that figures are compared with, speaking HTTP/1.1 and h2c to the backend.
	bare, bareH2 target
	others       []peer
	token        string
	peerKey      peerKey
}

// newWorld returns one in which nothing runs yet. end stops what was started, and removes the folder unless it was named.
func newWorld(c runCommand) (w *world, end func(), err error) {
	w = &world{folder: c.Profile, command: c}
	remove := func() {}
	if w.folder == "" {
		if w.folder, err = os.MkdirTemp("", "ashlar-bench-"); err != nil {
			return nil, nil, err
		}
		remove = func() { _ = os.RemoveAll(w.folder) }
	}
	var started []*process
	w.keep = func(p *process) { started = append(started, p) }
	return w, func() {
		for _, p := range slices.Backward(started) {
			p.stop()
		}
		remove()
	}, nil
}

// launch starts a program and keeps it until the end.
func (w *world) launch(name string, environment []string, program string, arguments ...string) (*process, error) {
	p, err := start(w.folder, name, environment, program, arguments...)
	if err == nil {
		w.keep(p)
	}
	return p, err
}

func (w *world) start(ctx context.Context) error {
	keyFile := filepath.Join(w.folder, clusterKeyFile)
	if err := workload.CreateClusterKey(keyFile); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	_ = os.Remove(filepath.Join(w.folder, backendFile))
	consul, err := w.startConsul(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if w.backend.process, err = w.launch("backend", nil, self, "backend", w.folder, consul); err != nil {
		return err
	}
	state, err := readBackend(ctx, w.folder)
	if err != nil {
		return err
	}
	w.backend.name, w.backend.address, w.token = "no proxy", state.Address, state.Token
	for _, b := range []struct {
		target    *target
		name      string
		arguments []string
	}{{&w.bare, "ReverseProxy", nil}, {&w.bareH2, "ReverseProxy h2c", []string{"--h2"}}} {
		b.target.name = b.name
		if b.target.address, err = freeport.ChooseAddress(ctx); err != nil {
			return err
		}
		b.target.process, err = w.launch(b.name, nil, self, append([]string{"bare", b.target.address, w.backend.address}, b.arguments...)...)
		if err != nil {
			return err
		}
	}
	w.gateway.name = "gateway"
	if w.gateway.address, err = freeport.ChooseAddress(ctx); err != nil {
		return err
	}
	if w.gateway.process, err = w.launch("gateway", gatewayEnvironment(w.gateway.address, keyFile, consul), w.command.Gateway); err != nil {
		return err
	}
	if err := w.startPeers(ctx); err != nil {
		return err
	}
	if err := w.startManyRoutes(ctx, consul); err != nil {
		return err
	}
	for _, t := range append([]target{w.gateway, w.manyRoutes, w.bare, w.bareH2}, targetsOf(w.others)...) {
		if err := eventually(ctx, t.name+" passes calls on", func() error { return w.try(ctx, t) }); err != nil {
			return err
		}
		if t.checks {
			if err := w.refuses(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// startManyRoutes starts a gateway of another platform, which has many routes.
func (w *world) startManyRoutes(ctx context.Context, consul string) error {
	folder := filepath.Join(w.folder, "routes")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	keyFile := filepath.Join(folder, clusterKeyFile)
	if err := workload.CreateClusterKey(keyFile); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	_ = os.Remove(filepath.Join(folder, backendFile))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := w.launch("backend with routes", nil, self, "backend", folder, consul, "--routes=10000"); err != nil {
		return err
	}
	state, err := readBackend(ctx, folder)
	if err != nil {
		return err
	}
	w.manyRoutes.name, w.manyRoutes.token = "with 10,000 routes", state.Token
	if w.manyRoutes.address, err = freeport.ChooseAddress(ctx); err != nil {
		return err
	}
	w.manyRoutes.process, err = w.launch("gateway with routes", gatewayEnvironment(w.manyRoutes.address, keyFile, consul), w.command.Gateway)
	return err
}

// tokenOf is a token that a target takes.
func (w *world) tokenOf(t target) string { return cmp.Or(t.token, w.token) }

// try sends one call, over HTTP/2 as that is what all of them can be told to speak, or over HTTP/1.1.
func (w *world) try(ctx context.Context, t target) error {
	over2 := newGRPC(t.address, w.tokenOf(t), 1, 1)[0]
	defer over2.close()
	if over2.call(ctx) == nil {
		return nil
	}
	over1, err := newLean(ctx, t.address, w.tokenOf(t))
	if err != nil {
		return err
	}
	defer over1.close()
	return over1.call(ctx)
}

// startConsul starts an agent that keeps nothing, and returns its address.
func (w *world) startConsul(ctx context.Context) (string, error) {
	var ports [3]string
	var address string
	for i := range ports {
		free, err := freeport.ChooseAddress(ctx)
		if err != nil {
			return "", err
		}
		_, port, err := net.SplitHostPort(free)
		if err != nil {
			return "", err
		}
		ports[i] = port
		if i == 0 {
			address = free
		}
	}
	if _, err := w.launch("consul", nil, w.command.Consul, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1",
		"-http-port="+ports[0], "-server-port="+ports[1], "-serf-lan-port="+ports[2], "-serf-wan-port=-1", "-dns-port=-1",
		"-grpc-port=-1", "-grpc-tls-port=-1", "-hcl=disable_update_check = true", "-log-level=warn"); err != nil {
		return "", err
	}
	return address, eventually(ctx, "Consul has a leader", func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v1/status/leader", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		leader, err := io.ReadAll(response.Body)
		if err == nil && len(leader) <= len(`""`)+1 {
			err = errors.New("it has none")
		}
		return err
	})
}

// gatewayEnvironment turns everything on.
func gatewayEnvironment(address, keyFile, consul string) []string {
	return []string{
		"ASHLAR_GATEWAY_ADDR=" + address, "ASHLAR_CLUSTER_KEY_FILE=" + keyFile, "ASHLAR_CONSUL_ADDR=" + consul,
		"ASHLAR_GATEWAY_CORS_ORIGINS=https://app.example.com",
		"ASHLAR_GATEWAY_RATE_LIMIT=" + strconv.Itoa(rateLimit), "ASHLAR_GATEWAY_RATE_BURST=" + strconv.Itoa(rateLimit),
		"ASHLAR_GATEWAY_MAX_STREAMS=100000",
		"ASHLAR_GATEWAY_NO_SHEDDING=true", // what is measured is an overload
	}
}
