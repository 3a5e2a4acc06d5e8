// Package peer calls RPCs that only services of the platform may call, for an operator who can read the cluster key: each
// call carries a proof made from it. It must not know any service.
package peer

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

// name is who calls, in the words of workload tokens.
const name = "platformctl"

const closeWithin = 2 * time.Second

// Clients makes clients. It is safe for concurrent use.
type Clients struct {
	clients   *rpc.Clients
	telemetry *telemetry.Telemetry
}

// New returns clients whose requests go through roundTripper; the host of a URL is the name of the service.
func New(ctx context.Context, key workload.ClusterKey, roundTripper http.RoundTripper) (*Clients, error) {
	t, err := telemetry.New(ctx, telemetry.Config{LogLevel: slog.LevelError}, telemetry.Process{Service: name}, io.Discard)
	if err != nil {
		return nil, err
	}
	clients, err := rpc.NewClients(t, workload.NewTokens(name, key), roundTripper)
	if err != nil {
		return nil, err
	}
	return &Clients{clients: clients, telemetry: t}, nil
}

// Client returns a client of a service, for generated constructors.
func (c *Clients) Client(service string) *connect.Client { return c.clients.Client(service) }

// Close sends the traces that are left.
func (c *Clients) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	_ = c.telemetry.Shutdown(ctx) // traces are for those who look, and their want is no reason to fail
}
