// Package gateway is the single entry point for traffic from outside. It learns from discovery which services there are
// and from the services what they offer, so that it knows none of them at compile time; it checks callers and passes
// their calls on, in whichever protocol they speak.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"ashlar.dev/gateway/internal/edge"
	"ashlar.dev/gateway/internal/learn"
	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/own"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/upstream"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/platform/keys"
	"ashlar.dev/platform/service"
)

// Name is the gateway's name in discovery.
const Name = "gateway"

// Door is the name of the component before which the gateway needs nobody. Where all is in one process, it comes after
// the services, so that the first look finds them all and nobody is let in before.
const Door = Name + "/" + door

const door = "routes"

// Version is the gateway's version.
const Version = "0.1.0"

const (
	stopTimeout = 10 * time.Second
	// streamGrace is how long streams may go on once the gateway stops; then they end with unavailable, early
	// enough that this is still heard.
	streamGrace = 3 * time.Second
)

// Gateway is the gateway, put together and not yet started.
type Gateway struct {
	cfg       Config
	env       *service.Environment
	telemetry *telemetry.Telemetry
	instance  string
	status    *health.Status
	learner   *learn.Learner
	edge      *edge.Handler
	limits    *limit.Limiter
	// sharing and redis are nil where limits are not shared.
	sharing *limit.Sharing
	redis   *limit.Redis
	// balancer and pool are how calls reach services.
	balancer *balance.Transport
	pool     *upstream.Pool
	ops      *service.Ops
	http     *http.Server
	fail     func(component string, err error)

	mu       sync.Mutex
	listener net.Listener
}

// New puts the gateway together: no I/O, no goroutines. fail is told when the running gateway cannot go on.
func New(cfg Config, env *service.Environment, t *telemetry.Telemetry, fail func(component string, err error)) (*Gateway, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("gateway: configuration: %w", err)
	}
	g := &Gateway{
		cfg: cfg, env: env, telemetry: t, fail: fail, instance: service.InstanceID(cfg.Config, Name), status: health.NewStatus(),
	}
	if err := g.build(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

func (g *Gateway) build() error {
	clients, err := g.env.Clients(Name, g.telemetry)
	if err != nil {
		return err
	}
	services, err := own.New(func() *routes.Table { return g.learner.Table() }, g.status, edge.Outcome)
	if err != nil {
		return err
	}
	g.learner = learn.New(Name, g.env.Directory, manifests(clients), services.Routes(), g.telemetry.Log)
	g.pool = upstream.NewPool()
	g.balancer = balance.New(g.env.Directory, balance.DefaultBase(), balance.WithGone(g.pool.Forget))
	g.limits = limit.New()
	g.edge, err = edge.New(edge.Parts{
		Tables: g.learner.Table, Tokens: authn.NewVerifier(keys.NewSource(clients, g.telemetry.Log)),
		Limits: g.limits, Streams: limit.NewStreams(),
		Own: services.Handler(), RoundTripper: g.balancer, Direct: &edge.Direct{Balancer: g.balancer, Pool: g.pool}, Status: g.status, Telemetry: g.telemetry,
		MaxMessageBytes: rpc.MaxMessageBytes, Settings: g.cfg.settings(),
	})
	if err != nil {
		return err
	}
	g.http = rpc.NewHTTPServer(g.telemetry.Log, g.edge)
	g.ops = service.NewOps(g.cfg.OpsAddr, g.telemetry.Log, g.status, g.telemetry)
	return nil
}

// manifests asks services for their manifests; the calls prove that the gateway asks.
func manifests(clients *rpc.Clients) learn.Ask {
	return func(ctx context.Context, name string) (*kernelv1.GetManifestResponse, error) {
		return kernelv1connect.NewManifestServiceClient(clients.Client(name)).GetManifest(ctx, &kernelv1.GetManifestRequest{})
	}
}

// Address is where requests from outside are served: host and port. It is empty before the gateway listens.
func (g *Gateway) Address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener == nil {
		return ""
	}
	return g.listener.Addr().String()
}

// Components returns what has to be started. Their names begin with "gateway/", and they come after those of the
// environment.
func (g *Gateway) Components() []lifecycle.Component {
	return lifecycle.Chain(Name, g.env.Components, []lifecycle.Component{
		{Name: "telemetry", Stop: g.telemetry.Shutdown},
		{Name: "ops", Start: g.ops.Start, Stop: g.ops.Stop},
		{Name: "limits", Start: g.shareLimits, Stop: g.stopSharing},
		{Name: door, Start: g.look, Stop: g.learner.Stop, StartTimeout: g.cfg.DependencyTimeout},
		{Name: "server", Start: g.serve, Stop: g.shutdown, StopTimeout: stopTimeout},
		g.membership().Component(),
	})
}

// look waits for the first look at discovery.
func (g *Gateway) look(ctx context.Context) error {
	g.status.Wait("routes", "waiting for discovery")
	defer g.status.Wait("routes", "")
	return g.learner.Start(ctx)
}

func (g *Gateway) serve(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", g.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (another address: ASHLAR_GATEWAY_ADDR)", g.cfg.Addr, err)
	}
	g.mu.Lock()
	g.listener = listener
	g.mu.Unlock()
	go func() {
		if err := g.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			g.fail(Name+"/server", err)
		}
	}()
	return nil
}

func (g *Gateway) membership() *service.Membership {
	return &service.Membership{
		Registrar: g.env.Registrar, Status: g.status, Log: g.telemetry.Log, Ops: g.ops,
		Instance: discovery.Instance{ID: g.instance, Service: Name, Version: Version}, Bound: g.Address,
		AdvertiseAddr: g.cfg.AdvertiseAddr, DrainTime: g.cfg.DrainTime,
	}
}

// shutdown takes no more requests and waits for those that are under way; streams, which may never end, are ended.
func (g *Gateway) shutdown(ctx context.Context) error {
	timer := time.AfterFunc(streamGrace, g.edge.EndStreams)
	defer timer.Stop()
	err := rpc.ShutdownHTTP(ctx, g.http)
	// A service that stops after it, in the same process, would wait a second for connections that nobody uses.
	(&http.Client{Transport: g.env.RoundTripper}).CloseIdleConnections()
	g.balancer.CloseIdleConnections()
	g.pool.Close()
	return err
}
