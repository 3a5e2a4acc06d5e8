package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/workload"
)

func TestSealNamesEveryMethodWithoutARule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	newServer := func(foreign map[string]access.Rule) *rpc.Server {
		server, err := rpc.NewServer(w.telemetry.Log, w.telemetry, rpc.Guards{}, foreign)
		require.NoError(t, err)
		register(server.RPC, handlers{})
		return server
	}
	require.NoError(t, newServer(nil).Seal())

	lawless := []connect.Method{
		{Spec: specOf("LawlessService", "Get", connect.StreamTypeUnary)},
		{Spec: specOf("LawlessService", "Steal", connect.StreamTypeUnary)},
	}
	server := newServer(nil)
	server.RPC.Register(lawless...)
	err := server.Seal()
	require.ErrorContains(t, err, "acme.orders.v1.LawlessService.Get has no access rule")
	require.ErrorContains(t, err, "acme.orders.v1.LawlessService.Steal has no access rule")

	server = newServer(map[string]access.Rule{lawless[0].Spec.Procedure: {Kind: access.Public}})
	server.RPC.Register(lawless...)
	err = server.Seal()
	require.ErrorContains(t, err, "LawlessService.Steal")
	require.NotContains(t, err.Error(), "LawlessService.Get")

	server = newServer(nil)
	server.RPC.Register(connect.Method{Spec: connect.Spec{Procedure: "/acme.Odd/Method"}})
	require.ErrorContains(t, server.Seal(), "/acme.Odd/Method has neither a protobuf schema nor an access rule")
}

// Calls of a method without a rule are refused even where nobody looked at what Seal said.
func TestAMethodWithoutARuleIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		server := w.server("orders", handlers{})
		steal := specOf("LawlessService", "Steal", connect.StreamTypeUnary)
		server.RPC.Register(connect.Method{Spec: steal, Handler: func(context.Context, connect.Spec, connect.ServerStream) error {
			panic("reached")
		}})
		if w.hub != nil {
			w.hub.Add("orders", server.RPC)
		} else {
			w.listen("orders", server)
		}
		_, err := call(t.Context(), w.client(), steal, "")
		requireAnswer(t, err, connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure)
	})
}

// Every protocol, over HTTP/1.1 and h2c, carries an answer and an error.
func TestProtocols(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.serve("orders", handlers{
		get: func(_ context.Context, request string) (string, error) {
			if request == "" {
				return "", rpcerror.New(connect.CodeNotFound, "NO_SUCH_ORDER", "no such order", rpcerror.Meta("order", "none"))
			}
			return request, nil
		},
		count: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			if err := stream.Receive(&wrapperspb.Int64Value{}); err != nil {
				return err
			}
			return stream.Send(wrapperspb.Int64(7))
		},
	})
	h1 := &http.Transport{}
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	w.Cleanup(h1.CloseIdleConnections)
	w.Cleanup(h2.CloseIdleConnections)
	for name, test := range map[string]struct {
		base    http.RoundTripper
		options []connecthttp.Option
	}{
		"connect, HTTP/1.1":         {h1, nil},
		"connect, h2c":              {h2, nil},
		"connect as JSON, HTTP/1.1": {h1, []connecthttp.Option{connecthttp.WithProtoJSON()}},
		"gRPC, h2c":                 {h2, []connecthttp.Option{connecthttp.WithGRPC()}},
		"gRPC-Web, HTTP/1.1":        {h1, []connecthttp.Option{connecthttp.WithGRPCWeb()}},
		"gRPC-Web, h2c":             {h2, []connecthttp.Option{connecthttp.WithGRPCWeb()}},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: test.base}, "http://"+w.address["orders"], test.options...))
			got, err := call(t.Context(), client, get, "soup")
			require.NoError(t, err)
			require.Equal(t, "soup", got)

			_, err = call(t.Context(), client, get, "")
			requireAnswer(t, err, connect.CodeNotFound, "NO_SUCH_ORDER")
			require.Equal(t, "none", rpcerror.Info(err).GetMetadata()["order"])

			stream, err := client.CallServerStream(t.Context(), count, wrapperspb.Int64(1))
			require.NoError(t, err)
			numbers, err := drain(stream)
			require.NoError(t, err)
			require.Equal(t, []int64{7}, numbers)

			for _, procedure := range []string{"/acme.orders.v1.OrderService/Steal", "/acme.Unheard/Of"} {
				unknown := get
				unknown.Procedure = procedure
				_, err = call(t.Context(), client, unknown, "")
				requireAnswer(t, err, connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure)
			}
		})
	}
}

func TestRequestsByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.serve("orders", handlers{place: func(context.Context) error { panic("reached") }})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for name, test := range map[string]struct {
		path, kind, body, encoding string
		status                     int
		code, reason               string
	}{
		"broken JSON":            {"/acme.orders.v1.OrderService/Get", "application/json", `{"`, "", 400, "invalid_argument", rpcerror.ReasonInvalidRequest},
		"JSON of something else": {"/acme.orders.v1.OrderService/Get", "application/json", `{"a":[1]}`, "", 400, "invalid_argument", rpcerror.ReasonInvalidRequest},
		"no message":             {"/acme.orders.v1.OrderService/Get", "application/proto", "\xff\xff\xff", "", 400, "invalid_argument", rpcerror.ReasonInvalidRequest},
		"broken compression":     {"/acme.orders.v1.OrderService/Get", "application/json", `""`, "gzip", 400, "invalid_argument", rpcerror.ReasonInvalidRequest},
		"an unknown procedure":   {"/acme.orders.v1.OrderService/Steal", "application/json", `{}`, "", 501, "unimplemented", rpcerror.ReasonUnknownProcedure},
		"an unknown service":     {"/acme.Unheard/Of", "application/json", `{}`, "", 501, "unimplemented", rpcerror.ReasonUnknownProcedure},
		// Who may not call does not learn what the server makes of the body.
		"broken JSON without a token": {"/acme.orders.v1.OrderService/WhoAmI", "application/json", `{"`, "", 401, "unauthenticated", rpcerror.ReasonTokenMissing},
		"broken JSON without a proof": {"/acme.orders.v1.OrderService/Inside", "application/json", `{"`, "", 403, "permission_denied", rpcerror.ReasonServicesOnly},
		"what is not valid":           {"/acme.orders.v1.OrderService/Place", "application/json", `{"id":"o"}`, "", 400, "invalid_argument", rpcerror.ReasonInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.address["orders"]+test.path, strings.NewReader(test.body))
			require.NoError(t, err)
			request.Header.Set("Content-Type", test.kind)
			if test.encoding != "" {
				request.Header.Set("Content-Encoding", test.encoding)
			}
			response, err := client.Do(request)
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, test.status, response.StatusCode, "%s", body)
			var answer struct {
				Code    string `json:"code"`
				Details []struct {
					Type  string `json:"type"`
					Debug struct {
						Reason string `json:"reason"`
						Domain string `json:"domain"`
					} `json:"debug"`
				} `json:"details"`
			}
			require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
			require.Equal(t, test.code, answer.Code, "%s", body)
			require.NotEmpty(t, answer.Details, "%s", body)
			require.Equal(t, "google.rpc.ErrorInfo", answer.Details[0].Type)
			require.Equal(t, test.reason, answer.Details[0].Debug.Reason, "%s", body)
			require.Equal(t, rpcerror.Domain, answer.Details[0].Debug.Domain)
		})
	}
	t.Run("a browser that came by", func(t *testing.T) {
		t.Parallel()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.address["orders"]+"/login", nil)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "text/html")
		response, err := client.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusNotFound, response.StatusCode)
	})
}

func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.serve("orders", handlers{})
	second := w.server("orders", handlers{})
	require.Empty(t, second.Address())
	require.NoError(t, second.Shutdown(t.Context()), "before it listens there is nothing to shut down")
	err := second.Listen(t.Context(), w.address["orders"])
	require.ErrorContains(t, err, "listen on "+w.address["orders"])
	require.Empty(t, second.Address())
}

// A shutdown takes no more calls, and lets those end that are under way.
func TestShutdownWaitsForCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	server := w.serve("orders", handlers{get: func(_ context.Context, request string) (string, error) {
		close(begun)
		<-release
		return request, nil
	}})
	client, answered, stopped := w.client(), make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := call(t.Context(), client, get, "last order")
		answered <- err
	}()
	w.await(begun, "the call")
	go func() { stopped <- server.Shutdown(t.Context()) }()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		response, err := fresh.Get("http://" + w.address["orders"])
		if err == nil {
			_ = response.Body.Close()
		}
		return err != nil
	}, patience, time.Millisecond, "the door is closed")
	select {
	case err := <-stopped:
		require.Fail(t, "it did not wait", "%v", err)
	default:
	}
	close(release)
	require.NoError(t, <-answered)
	require.NoError(t, <-stopped)
}

// A connection that is accepted, and becomes one of HTTP/2 when the others have been told to go away already, is told, too.
func TestShutdownTellsLateConnections(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	opened := make(chan struct{}, 2)
	server := rpc.NewHTTPServer(slog.New(slog.DiscardHandler), http.NotFoundHandler())
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened <- struct{}{}
		}
	}
	served, stopped := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(rpc.NewListener(listener)) }()
	open := func() net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		<-opened
		return conn
	}
	early, late := open(), open()
	framer := http2.NewFramer(early, early)
	await := func(kind http2.FrameType) {
		for {
			frame, err := framer.ReadFrame()
			require.NoError(t, err, "%s never comes", kind)
			if frame.Header().Type == kind {
				return
			}
		}
	}
	_, err = io.WriteString(early, http2.ClientPreface)
	require.NoError(t, err)
	require.NoError(t, framer.WriteSettings())
	await(http2.FrameSettings)
	go func() { stopped <- rpc.ShutdownHTTP(t.Context(), server) }()
	await(http2.FrameGoAway)
	_, _ = io.WriteString(late, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00") // and empty settings
	_, err = io.Copy(io.Discard, late)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is kept open")
	require.NoError(t, <-stopped)
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}

// What is still under way when the time is over is cut off.
func TestShutdownEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	begun, ended := make(chan struct{}), make(chan struct{})
	server := w.serve("orders", handlers{get: func(ctx context.Context, _ string) (string, error) {
		defer close(ended)
		close(begun)
		<-ctx.Done()
		return "", ctx.Err()
	}})
	client, answered := w.client(), make(chan error, 1)
	go func() {
		_, err := call(t.Context(), client, get, "last order")
		answered <- err
	}()
	w.await(begun, "the call")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, server.Shutdown(ctx), context.Canceled)
	w.await(ended, "the handler to be cut off")
	requireAnswer(t, <-answered, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
}

// A peer that dies under a call is not to be reached, wherever it was with its answer, and callers learn no address.
func TestAPeerThatDies(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]func(http.ResponseWriter){
		"before it answers": func(http.ResponseWriter) {},
		"after the header":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"in the middle of the answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte{0, 0, 0})
		},
		"in the middle of a message": func(w http.ResponseWriter) { _, _ = w.Write([]byte{0, 0, 0, 0, 100, 1, 2, 3}) },
		"between two messages":       func(w http.ResponseWriter) { _, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, 1}) },
	} {
		for shape, calls := range map[string]func(context.Context, *connect.Client) error{
			"unary": func(ctx context.Context, client *connect.Client) error {
				_, err := call(ctx, client, get, "")
				return err
			},
			"stream": func(ctx context.Context, client *connect.Client) error {
				stream, err := client.CallServerStream(ctx, count, wrapperspb.Int64(1))
				if err != nil {
					return err
				}
				_, err = drain(stream)
				return err
			},
		} {
			t.Run(name+", "+shape, func(t *testing.T) {
				t.Parallel()
				w, begun := newWorld(t, nil), make(chan struct{})
				peer := rpc.NewHTTPServer(w.telemetry.Log, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
					_, _ = io.Copy(io.Discard, request.Body)
					response.Header().Set("Content-Type", request.Header.Get("Content-Type"))
					dies(response)
					if name != "before it answers" {
						_ = http.NewResponseController(response).Flush()
					}
					close(begun)
					<-request.Context().Done()
				}))
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				served := make(chan error, 1)
				go func() { served <- peer.Serve(listener) }()
				w.register("orders", listener.Addr().String())
				client, failed := w.client(), make(chan error, 1)
				go func() { failed <- calls(t.Context(), client) }()
				w.await(begun, "the call")
				require.NoError(t, peer.Close())
				e := requireAnswer(t, <-failed, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
				require.Equal(t, "orders cannot be reached at the moment", e.Message())
				require.ErrorIs(t, <-served, http.ErrServerClosed)
				w.base.CloseIdleConnections()
			})
		}
	}
}

// A proof is for one service: what was proved to one is worth nothing to another.
func TestAProofForAnotherService(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{})
		proof, err := workload.NewTokens("shop", w.key).Prove(t.Context(), "stock")
		require.NoError(t, err)
		transport := connecthttp.NewTransport(&http.Client{Transport: w.trip}, "http://orders")
		if w.hub != nil {
			transport = w.hub.Transport("orders")
		}
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set(workload.Header, proof)
		_, err = call(ctx, connect.NewClient(transport), inside, "")
		requireAnswer(t, err, connect.CodePermissionDenied, rpcerror.ReasonServicesOnly)
	})
}

// A stream would go on for as long as its caller likes: the caller is told to go on elsewhere.
func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		server := w.serve("orders", handlers{count: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			if err := stream.Receive(&wrapperspb.Int64Value{}); err != nil {
				return err
			}
			if err := stream.Send(wrapperspb.Int64(7)); err != nil {
				return err
			}
			<-ctx.Done()
			// What was interrupted, such as a query, may not say that it was the context.
			return errors.New("interrupted")
		}})
		stream, err := w.client().CallServerStream(t.Context(), count, wrapperspb.Int64(1))
		require.NoError(t, err)
		var first wrapperspb.Int64Value
		require.NoError(t, stream.Receive(&first))
		require.Equal(t, int64(7), first.GetValue())

		stopped := make(chan error, 1)
		go func() { stopped <- server.Shutdown(t.Context()) }()
		_, err = drain(stream)
		requireAnswer(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
		w.base.CloseIdleConnections()
		require.NoError(t, <-stopped)
	})
}
