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
	"slices"
	"sync"
	"time"

	"ashlar.dev/gateway/internal/cache"
	"ashlar.dev/gateway/internal/edge"
	"ashlar.dev/gateway/internal/h2"
	"ashlar.dev/gateway/internal/inspect"
	"ashlar.dev/gateway/internal/keepalive"
	"ashlar.dev/gateway/internal/learn"
	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/live"
	"ashlar.dev/gateway/internal/openapi"
	"ashlar.dev/gateway/internal/own"
	"ashlar.dev/gateway/internal/rest"
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
	"ashlar.dev/platform/apikeys"
	"ashlar.dev/platform/gatewayops"
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
	// goneTime is how long a connection may outlive the machine of its caller: no less than a way through a tunnel takes.
	goneTime = 32 * time.Second
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
	// publisher is nil where nothing is published.
	publisher *openapi.Publisher
	limits    *limit.Limiter
	// connections bounds how many there are, over TCP and QUIC.
	connections *limit.Connections
	// sharing and redis are nil where limits are not shared.
	sharing *limit.Sharing
	redis   *limit.Redis
	// balancer and pool are how calls reach services.
	balancer *balance.Transport
	pool     *upstream.Pool
	live     live.Registry
	ops      *service.Ops
	http     *http.Server
	fail     func(component string, err error)
	// reload is nil where the configuration is what it is, secure where there is no TLS.
	reload *reload
	secure *secure
	// quic is nil where HTTP/3 is not spoken.
	quic *overQUIC
	// rereads are what is read anew while the gateway runs.
	rereads []lifecycle.Component

	mu       sync.Mutex
	listener net.Listener
}

// New puts the gateway together: no I/O, no goroutines. fail is told when the running gateway cannot go on.
func New(cfg Config, env *service.Environment, t *telemetry.Telemetry, fail func(component string, err error), options ...Option) (*Gateway, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("gateway: configuration: %w", err)
	}
	g := &Gateway{
		cfg: cfg, env: env, telemetry: t, fail: fail, instance: service.InstanceID(cfg.Config, Name), status: health.NewStatus(),
	}
	for _, option := range options {
		option(g)
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
	translator := rest.New(rpc.MaxMessageBytes, g.telemetry.Log)
	listeners := []func(*routes.Table){translator.Learn}
	var documents edge.Documents
	if g.cfg.OpenAPI {
		g.publisher = openapi.New(g.telemetry.Log)
		documents, listeners = g.publisher, append(listeners, g.publisher.Learn)
	}
	g.learner = learn.New(Name, g.env.Directory, manifests(clients), services.Routes(), g.telemetry.Log,
		learn.Check(translator.Check), learn.Tell(listeners...))
	g.pool = upstream.NewPool()
	streams := h2.New()
	gone := func(address string) {
		g.pool.Forget(address)
		streams.Forget(address)
	}
	g.balancer = balance.New(g.env.Directory, streams, balance.WithGone(gone), balance.WithZone(g.cfg.Zone))
	g.share(g.cfg)
	var kept *cache.Cache
	if g.cfg.CacheBytes > 0 {
		if kept, err = cache.New(g.cfg.CacheBytes, g.telemetry.Metrics); err != nil {
			return err
		}
	}
	g.limits = limit.New()
	g.edge, err = edge.New(edge.Parts{
		Tables: g.learner.Table, Tokens: authn.NewVerifier(keys.NewSource(clients, g.telemetry.Log)), APIKeys: apikeys.New(clients),
		Limits: g.limits, Streams: limit.NewStreams(),
		Own: services.Handler(), REST: translator, Documents: documents, RoundTripper: g.balancer, Direct: &edge.Direct{Balancer: g.balancer, Pool: g.pool, Shared: streams}, Live: &g.live, Cache: kept, Status: g.status, Telemetry: g.telemetry,
		MaxMessageBytes: rpc.MaxMessageBytes, Settings: g.cfg.settings(),
	})
	if err != nil {
		return err
	}
	g.http = rpc.NewHTTPServer(g.telemetry.Log, g.edge)
	g.cfg.boundConnections(g.http)
	if g.connections, err = limit.NewConnections(g.telemetry.Metrics); err != nil {
		return err
	}
	g.connections.SetBounds(g.cfg.connectionBounds())
	if g.secure, err = newSecure(g); err != nil {
		return err
	}
	if g.secure != nil {
		g.secure.set(g.http)
		g.rereads = append(g.rereads, g.secure.component("certificate"))
		if g.cfg.HTTP3 {
			g.quic = newOverQUIC(g.http, g.connections, g.telemetry.Log)
		}
	}
	if g.reload != nil {
		again, err := g.reload.reread(g)
		if err != nil {
			return err
		}
		g.rereads = append(g.rereads, again.component("reload"))
	}
	g.http.ConnState = g.live.ConnState
	g.ops = service.NewOps(g.cfg.Config, g.telemetry.Log, g.status, g.telemetry)
	return g.mountInspector(services.Routes(), translator)
}

// mountInspector shows operators what the gateway does.
func (g *Gateway) mountInspector(own []*routes.Route, translator *rest.Translator) error {
	i := &inspect.Inspector{
		Name: Name, ID: g.instance, Version: Version, Own: own, Tables: g.learner.Table, Learner: g.learner,
		Directory: g.env.Directory, Balancer: g.balancer, Live: &g.live, REST: translator,
	}
	if g.publisher != nil {
		i.Documents = g.publisher.Serves
	}
	g.ops.Handle("GET "+gatewayops.RoutesPath, i.Routes())
	g.ops.Handle("GET "+gatewayops.ExplainPath, i.Explain())
	g.ops.HandleDebug("GET /connections", i.Connections())
	g.ops.HandleDebug("GET /streams", i.Streams())
	return g.telemetry.Metrics.Register(i)
}

// OpsAddress is where the operations listener is; empty before it listens, and where it is off.
func (g *Gateway) OpsAddress() string { return g.ops.Address() }

// manifests asks services for their manifests; the calls prove that the gateway asks.
func manifests(clients *rpc.Clients) learn.Ask {
	return func(ctx context.Context, name, version string) (*kernelv1.GetManifestResponse, error) {
		ctx = balance.WithVersions(ctx, &balance.Versions{Names: []string{version}, Only: true})
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
	components := []lifecycle.Component{
		{Name: "telemetry", Stop: g.telemetry.Shutdown},
		{Name: "ops", Start: g.ops.Start, Stop: g.ops.Stop},
		{Name: "limits", Start: g.shareLimits, Stop: g.stopSharing},
		{Name: door, Start: g.look, Stop: g.stopLooking, StartTimeout: g.cfg.DependencyTimeout},
		{Name: "server", Start: g.serve, Stop: g.shutdown, StopTimeout: stopTimeout},
		g.membership().Component(),
	}
	return lifecycle.Chain(Name, g.env.Components, slices.Insert(components, 1, g.rereads...))
}

// look waits for the first look at discovery.
func (g *Gateway) look(ctx context.Context) error {
	g.status.Wait("routes", "waiting for discovery")
	defer g.status.Wait("routes", "")
	return g.learner.Start(ctx)
}

// stopLooking returns when nothing more is learned and no document is being made.
func (g *Gateway) stopLooking(ctx context.Context) error {
	err := g.learner.Stop(ctx)
	if g.publisher != nil {
		g.publisher.Wait()
	}
	return err
}

func (g *Gateway) serve(ctx context.Context) error {
	lc := net.ListenConfig{KeepAliveConfig: keepalive.Config(goneTime), Control: keepalive.Control(goneTime)}
	listener, err := lc.Listen(ctx, "tcp", g.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (another address: ASHLAR_GATEWAY_ADDR)", g.cfg.Addr, err)
	}
	g.mu.Lock()
	g.listener = listener
	g.mu.Unlock()
	seen := g.live.Listener(rpc.NewListener(g.connections.Listener(listener)))
	serve := func() error { return g.http.Serve(seen) }
	switch {
	case g.secure != nil:
		serve = func() error { return g.http.ServeTLS(seen, "", "") }
	case !loopback(listener.Addr()) && len(g.cfg.TrustedProxies) == 0:
		g.telemetry.Log.WarnContext(ctx, "others can reach this address, and it speaks plain text: let a proxy before it speak TLS, or set gateway-tls-cert-file",
			"address", listener.Addr().String())
	}
	if g.quic != nil {
		if err := g.quic.listen(ctx, listener.Addr()); err != nil {
			return errors.Join(err, listener.Close())
		}
		g.run(g.quic.serve)
	}
	g.run(serve)
	return nil
}

// run serves in the background. What does not serve any more although nobody has ended it ends the gateway.
func (g *Gateway) run(serve func() error) {
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			g.fail(Name+"/server", err)
		}
	}()
}

func (g *Gateway) membership() *service.Membership {
	return &service.Membership{
		Registrar: g.env.Registrar, Status: g.status, Log: g.telemetry.Log, Ops: g.ops,
		Instance: discovery.Instance{ID: g.instance, Service: Name, Version: Version}, Bound: g.Address,
		Zone: g.cfg.Zone, Weight: g.cfg.Weight, AdvertiseAddr: g.cfg.AdvertiseAddr, DrainTime: g.cfg.DrainTime,
	}
}

// shutdown takes no more requests and waits for those that are under way; streams, which may never end, are ended.
func (g *Gateway) shutdown(ctx context.Context) error {
	timer := time.AfterFunc(streamGrace, g.edge.EndStreams)
	defer timer.Stop()
	overQUIC := make(chan error, 1)
	go func() {
		var err error
		if g.quic != nil {
			err = g.quic.shutdown(ctx)
		}
		overQUIC <- err
	}()
	err := rpc.ShutdownHTTP(ctx, g.http)
	err = errors.Join(err, <-overQUIC)
	// A service that stops after it, in the same process, would wait a second for connections that nobody uses.
	(&http.Client{Transport: g.env.RoundTripper}).CloseIdleConnections()
	g.balancer.CloseIdleConnections()
	g.pool.Close()
	return err
}
