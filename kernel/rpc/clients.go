package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

// DefaultTimeout bounds a unary call whose context has no earlier deadline.
const DefaultTimeout = 5 * time.Second

// Clients makes the clients by which one service calls others, by name. It is safe for concurrent use.
type Clients struct {
	transport func(service string) connect.Transport
	traced    connect.ClientInterceptor
	prover    workload.Prover
}

// NewClients returns clients that send over HTTP. The host of a request's URL is the name of the service; roundTripper
// finds an instance for it.
func NewClients(t *telemetry.Telemetry, prover workload.Prover, roundTripper http.RoundTripper) (*Clients, error) {
	client := &http.Client{Transport: roundTripper}
	return newClients(t, prover, func(service string) connect.Transport {
		return connecthttp.NewTransport(client, "http://"+service, connecthttp.WithReadMaxBytes(MaxMessageBytes))
	})
}

// NewLocalClients returns clients that call the services of a hub.
func NewLocalClients(t *telemetry.Telemetry, prover workload.Prover, hub *Hub) (*Clients, error) {
	return newClients(t, prover, hub.Transport)
}

func newClients(t *telemetry.Telemetry, prover workload.Prover, transport func(string) connect.Transport) (*Clients, error) {
	traced, err := t.Client()
	if err != nil {
		return nil, err
	}
	return &Clients{transport: transport, traced: traced, prover: prover}, nil
}

// Client returns a client of a service, for generated constructors. Each call proves who calls. A service that cannot
// be reached, or not in time, gives an error that a handler may return as it is; what a peer refused stays a remote
// error, which callers of this service do not see unless the handler forwards it (rpcerror.Forward).
func (c *Clients) Client(service string) *connect.Client {
	return connect.NewClient(c.transport(service), explain(service), withDeadline, safe, c.traced, c.prove(service))
}

// prove adds the proof of who calls.
func (c *Clients) prove(service string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			proof, err := c.prover.Prove(ctx, service)
			if err != nil {
				return nil, fmt.Errorf("prove who calls %s: %w", service, err)
			}
			info, ok := connect.CallInfoForClientContext(ctx)
			if !ok {
				return nil, errors.New("no call info")
			}
			info.RequestHeader().Set(workload.Header, proof)
			return next(ctx, spec)
		}
	}
}

// withDeadline gives unary calls that have no deadline one.
func withDeadline(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		if _, ok := ctx.Deadline(); ok || spec.StreamType != connect.StreamTypeUnary {
			return next(ctx, spec)
		}
		ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
		stream, err := next(ctx, spec)
		if err != nil {
			cancel()
			return nil, err
		}
		return &deadlineStream{ClientStream: stream, cancel: cancel}, nil
	}
}

// safe lets calls without side effects be made again at another instance.
func safe(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		if spec.IdempotencyLevel == connect.IdempotencyNoSideEffects {
			ctx = balance.WithSafe(ctx)
		}
		return next(ctx, spec)
	}
}

type deadlineStream struct {
	connect.ClientStream

	cancel context.CancelFunc
}

// Close implements connect.ClientStream; a unary call always closes.
func (s *deadlineStream) Close() error {
	defer s.cancel()
	return s.ClientStream.Close()
}
