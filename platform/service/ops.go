package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
)

// Ops is the listener for those who run the platform, apart from the one for callers: /healthz, /readyz, /metrics, and
// what Config.OpsDebug says who may see: /debug/pprof/.
type Ops struct {
	address string
	debug   string
	mux     *http.ServeMux
	server  *http.Server
	bound   net.Listener
	log     *slog.Logger
	end     context.CancelFunc
}

// NewOps returns the listener of a process; an empty Config.OpsAddr turns it off.
func NewOps(cfg Config, log *slog.Logger, status *health.Status, t *telemetry.Telemetry) *Ops {
	o := &Ops{address: cfg.OpsAddr, debug: cfg.OpsDebug, mux: http.NewServeMux(), log: log}
	status.Mount(o.mux)
	t.Mount(o.mux)
	o.mountProfiles()
	o.server = rpc.NewHTTPServer(log, o.mux)
	var ctx context.Context
	ctx, o.end = context.WithCancel(context.Background())
	o.server.BaseContext = func(net.Listener) context.Context { return ctx }
	return o
}

// Handle serves a page that whoever reaches the listener may see. It must be called before Start.
func (o *Ops) Handle(pattern string, page http.Handler) { o.mux.Handle(pattern, page) }

// HandleDebug serves a page that tells about persons, or can load the process. Config.OpsDebug says who may see it. It must
// be called before Start.
func (o *Ops) HandleDebug(pattern string, page http.Handler) { o.mux.Handle(pattern, o.guard(page)) }

// ServeHTTP implements http.Handler: what the listener serves.
func (o *Ops) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

// Start binds the address and serves.
func (o *Ops) Start(ctx context.Context) error {
	if o.address == "" {
		return nil
	}
	listener, err := rpc.Bind(ctx, o.address)
	if err != nil {
		return fmt.Errorf("for operations: %w", err)
	}
	o.bound = listener
	if o.debug == debugAll && !isLoopback(listener.Addr().String()) {
		o.log.WarnContext(ctx, "whoever reaches the operations listener sees profiles and who is connected", "address", listener.Addr().String(), "ops_debug", o.debug)
	}
	go func() {
		if err := o.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.log.Error("the operations listener failed", "error", err)
		}
	}()
	return nil
}

// Stop ends it, and profiles that are being taken.
func (o *Ops) Stop(ctx context.Context) error {
	o.end()
	return rpc.ShutdownHTTP(ctx, o.server)
}

// Address is where the listener is bound; empty before Start, and where it is off.
func (o *Ops) Address() string {
	if o.bound == nil {
		return ""
	}
	return o.bound.Addr().String()
}

// CheckURL is where a registry can see whether the process can be sent calls, which it can also while its database is
// away (ADR 0052); empty where the listener is off. It must only be
// called after Start.
func (o *Ops) CheckURL() string {
	if o.bound == nil {
		return ""
	}
	return "http://" + o.Address() + "/readyz?exclude=" + databaseOf
}
