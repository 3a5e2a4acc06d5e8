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

// Ops is the listener for those who run the platform, apart from the one for callers: /healthz, /readyz, /metrics.
type Ops struct {
	address string
	server  *http.Server
	bound   net.Listener
	log     *slog.Logger
}

// NewOps returns the listener on an address; an empty address turns it off.
func NewOps(address string, log *slog.Logger, status *health.Status, t *telemetry.Telemetry) *Ops {
	mux := http.NewServeMux()
	status.Mount(mux)
	t.Mount(mux)
	return &Ops{address: address, server: rpc.NewHTTPServer(log, mux), log: log}
}

// Start binds the address and serves.
func (o *Ops) Start(ctx context.Context) error {
	if o.address == "" {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", o.address)
	if err != nil {
		return fmt.Errorf("listen on %s for operations: %w", o.address, err)
	}
	o.bound = listener
	go func() {
		if err := o.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.log.Error("the operations listener failed", "error", err)
		}
	}()
	return nil
}

// Stop ends it.
func (o *Ops) Stop(ctx context.Context) error { return rpc.ShutdownHTTP(ctx, o.server) }

// CheckURL is where a registry can see whether the process can be sent calls, which it can also while its database is
// away (ADR 0052); empty where the listener is off. It must only be
// called after Start.
func (o *Ops) CheckURL() string {
	if o.bound == nil {
		return ""
	}
	return "http://" + o.bound.Addr().String() + "/readyz?exclude=" + databaseOf
}
