package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// world holds services and connects them in one of the two ways.
type world struct {
	*testing.T

	telemetry *telemetry.Telemetry
	key       workload.ClusterKey
	logs      *logs

	hub      *rpc.Hub // nil over HTTP
	registry *memory.Registry
	base     *http.Transport
	trip     http.RoundTripper
	address  map[string]string
}

// each runs test in a world over HTTP and in one process.
func each(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Run("http", func(t *testing.T) { test(t, newWorld(t, nil)) })
	t.Run("hub", func(t *testing.T) { test(t, newWorld(t, rpc.NewHub())) })
}

func newWorld(t *testing.T, hub *rpc.Hub) *world {
	t.Helper()
	w := &world{T: t, key: workload.NewClusterKey(), logs: &logs{}, hub: hub, registry: memory.New(), address: map[string]string{}}
	var err error
	w.telemetry, err = telemetry.New(t.Context(), telemetry.Config{LogLevel: slog.LevelDebug}, telemetry.Process{Service: "test"}, w.logs)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.telemetry.Shutdown(context.Background())) })
	w.base = balance.DefaultBase()
	w.trip = balance.New(w.registry, w.base)
	return w
}

// handlers serve the methods of acme.orders.v1.OrderService; those that are nil answer with their request.
type handlers struct {
	get, whoAmI, inside func(context.Context, string) (string, error)
	place               func(context.Context) error
	count, sum, chat    connect.ServerFunc
}

// server returns a server that is sealed and not yet serving.
func (w *world) server(name string, h handlers) *rpc.Server {
	w.Helper()
	server, err := rpc.NewServer(w.telemetry.Log, w.telemetry, rpc.Guards{
		Tokens: oneToken{}, Workloads: workload.NewTokens(name, w.key),
		Decider: access.DeciderFunc(func(context.Context, string, string, string) (bool, error) { return false, nil }),
		Denied:  func(context.Context, access.Denial) {}, Unrecorded: func(string) {},
	}, nil)
	require.NoError(w, err)
	register(server.RPC, h)
	require.NoError(w, server.Seal())
	return server
}

// serve makes a service reachable under a name until the test ends.
func (w *world) serve(name string, h handlers) *rpc.Server {
	w.Helper()
	server := w.server(name, h)
	if w.hub != nil {
		w.hub.Add(name, server.RPC)
		return server
	}
	w.listen(name, server)
	return server
}

func (w *world) listen(name string, server *rpc.Server) {
	w.Helper()
	require.NoError(w, server.Listen(w.Context(), "127.0.0.1:0"))
	done := make(chan error, 1)
	go func() { done <- server.Serve() }()
	w.Cleanup(func() {
		w.base.CloseIdleConnections() // or net/http gives their owners a second
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(w, server.Shutdown(ctx))
		require.NoError(w, <-done)
	})
	w.register(name, server.Address())
}

func (w *world) register(name, address string) {
	w.Helper()
	w.address[name] = address
	require.NoError(w, w.registry.Register(w.Context(), discovery.Registration{
		Instance: discovery.Instance{ID: name + "-1", Service: name, Address: address},
	}))
}

// clients returns the clients of a service.
func (w *world) clients(name string) *rpc.Clients {
	w.Helper()
	var clients *rpc.Clients
	var err error
	if w.hub != nil {
		clients, err = rpc.NewLocalClients(w.telemetry, workload.NewTokens(name, w.key), w.hub)
	} else {
		clients, err = rpc.NewClients(w.telemetry, workload.NewTokens(name, w.key), w.trip)
	}
	require.NoError(w, err)
	return clients
}

// client returns a client by which "shop" calls "orders".
func (w *world) client() *connect.Client { return w.clients("shop").Client("orders") }

// call calls a method of text for text.
func call(ctx context.Context, client *connect.Client, spec connect.Spec, request string) (string, error) {
	var response wrapperspb.StringValue
	err := client.CallUnary(ctx, spec, wrapperspb.String(request), &response)
	return response.GetValue(), err
}

func register(server *connect.Server, h handlers) {
	unary := func(spec connect.Spec, f func(context.Context, string) (string, error)) connect.Method {
		return connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var request wrapperspb.StringValue
			if err := stream.Receive(&request); err != nil {
				return err
			}
			response := request.GetValue()
			if f != nil {
				var err error
				if response, err = f(ctx, request.GetValue()); err != nil {
					return err
				}
			}
			return stream.Send(wrapperspb.String(response))
		}}
	}
	stream := func(spec connect.Spec, f connect.ServerFunc) connect.Method {
		if f == nil {
			f = func(context.Context, connect.Spec, connect.ServerStream) error { return nil }
		}
		return connect.Method{Spec: spec, Handler: f}
	}
	server.Register(
		unary(get, h.get), unary(whoAmI, h.whoAmI), unary(inside, h.inside),
		stream(count, h.count), stream(sum, h.sum), stream(chat, h.chat),
		connect.Method{Spec: place, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			if err := stream.Receive(order("", 0)); err != nil {
				return err
			}
			if err := h.place(ctx); err != nil {
				return err
			}
			return stream.Send(wrapperspb.String("placed"))
		}},
	)
}

// oneToken verifies the token "ann" and no other.
type oneToken struct{}

func (oneToken) Verify(_ context.Context, token string) (authn.Principal, error) {
	if token != "ann" {
		return authn.Principal{}, rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenInvalid, "the access token is not valid")
	}
	return authn.Principal{Kind: authn.User, UserID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a"}, nil
}

// logs keeps what was logged.
type logs struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// drain receives until the stream ends.
func drain(stream connect.ClientStream) (got []int64, err error) {
	for {
		var message wrapperspb.Int64Value
		if err := stream.Receive(&message); err != nil {
			if errors.Is(err, io.EOF) {
				return got, nil
			}
			return got, err
		}
		got = append(got, message.GetValue())
	}
}

// await fails the test where c is not closed in time.
func (w *world) await(c <-chan struct{}, what string) {
	w.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.Fail(w, "waited too long", "for %s", what)
	}
}

// requireAnswer checks code and reason of an error that came from a server.
func requireAnswer(t *testing.T, err error, code connect.Code, reason string) *connect.Error {
	t.Helper()
	var e *connect.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code(), "%v", err)
	require.Equal(t, reason, rpcerror.Reason(err), "%v", err)
	return e
}

// requireNoSecret checks that nothing of the inside is in what a caller sees.
func requireNoSecret(t *testing.T, e *connect.Error) {
	t.Helper()
	require.NotContains(t, e.Error(), "hunter2")
	for _, detail := range e.Details() {
		require.False(t, strings.Contains(string(detail.Value), "hunter2"), "%s", detail.Type)
	}
}
