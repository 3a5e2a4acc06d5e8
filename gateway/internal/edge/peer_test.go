package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/own"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
)

// within bounds what should take two seconds at most, and takes longer on a machine that has much else to do or stands still.
const within = 30 * time.Second

const (
	ask        = "/a.v1.S/Ask"        // unary, public
	askMe      = "/a.v1.S/AskMe"      // unary, authenticated
	listen     = "/a.v1.S/Listen"     // server stream, public
	listenToMe = "/a.v1.S/ListenToMe" // server stream, authenticated
	tell       = "/a.v1.S/Tell"       // client stream, public
	reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
)

// soon lets everybody in whose token is a name, for a moment.
type soon struct{ lifetime time.Duration }

// Verify implements access.TokenVerifier.
func (s soon) Verify(_ context.Context, token string) (authn.Principal, error) {
	if token == "bad" {
		return authn.Principal{}, connect.NewError(connect.CodeUnauthenticated, "no")
	}
	return authn.Principal{Kind: authn.User, UserID: token, ExpiresAt: time.Now().Add(s.lifetime)}, nil
}

// service stands for what is behind the gateway.
type service func(r *http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (s service) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func answer(r *http.Request, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {r.Header.Get("Content-Type")}}, Body: body, Request: r, ContentLength: -1,
	}
}

// silent is a body that says nothing until the call ends.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s silent) Close() error             { return nil }

// endless is a body that never ends. It tells when it is closed.
type endless struct{ closed chan struct{} }

func (e endless) Read(p []byte) (int, error) { return len(p), nil }
func (e endless) Close() error               { e.closed <- struct{}{}; return nil }

// listensNot answers once the request is complete, or fails with the call.
func listensNot(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return answer(r, io.NopCloser(strings.NewReader("{}"))), nil
}

// edgeWorld is a handler on a port.
type edgeWorld struct {
	h       *Handler
	address string
	closed  chan struct{} // one for each connection that was closed
}

func newEdgeWorld(t *testing.T, behind service, change func(*Handler)) *edgeWorld {
	t.Helper()
	return newEdgeWorldBehind(t, behind, change, func(h http.Handler) http.Handler { return h })
}

// newEdgeWorldBehind is newEdgeWorld with something between net/http and the handler.
func newEdgeWorldBehind(t *testing.T, behind service, change func(*Handler), wrap func(http.Handler) http.Handler) *edgeWorld {
	t.Helper()
	tel, err := telemetry.New(context.Background(), telemetry.Config{}, telemetry.Process{}, discard{})
	require.NoError(t, err)
	status := health.NewStatus()
	var table *routes.Table
	tables := func() *routes.Table { return table }
	services, err := own.New(tables, status, Outcome)
	require.NoError(t, err)
	route := func(procedure string, kind access.Kind, stream connect.StreamType) *routes.Route {
		return &routes.Route{Procedure: procedure, Service: "a", Access: kind, Stream: stream}
	}
	table = routes.NewTable(append(services.Routes(),
		route(ask, access.Public, connect.StreamTypeUnary), route(askMe, access.Authenticated, connect.StreamTypeUnary),
		route(listen, access.Public, connect.StreamTypeServer), route(listenToMe, access.Authenticated, connect.StreamTypeServer),
		route(tell, access.Public, connect.StreamTypeClient),
	))
	h, err := New(Parts{
		Tables: tables, Tokens: soon{time.Minute}, Limits: limit.New(), Own: services.Handler(), RoundTripper: behind,
		Status: status, Telemetry: tel, MaxMessageBytes: 1 << 20, Settings: Settings{MaxTimeout: 100 * time.Millisecond},
	})
	require.NoError(t, err)
	if change != nil {
		change(h)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &edgeWorld{h: h, address: listener.Addr().String(), closed: make(chan struct{}, 100)}
	server := rpc.NewHTTPServer(slog.New(slog.DiscardHandler), wrap(h))
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			w.closed <- struct{}{}
		}
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return w
}

func (w *edgeWorld) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(within)))
	return conn
}

// open sends a request and returns the answer, of which nothing has been read.
func (w *edgeWorld) open(t *testing.T, h2 bool, procedure, contentType, token string, body io.Reader) *http.Response {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.address+procedure, body)
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(within):
		require.Fail(t, what)
	}
}

// Whoever announces a body and does not send it gets his answer, and loses his connection.
func TestBodyThatDoesNotCome(t *testing.T) {
	w := newEdgeWorld(t, listensNot, nil)
	for name, c := range map[string]struct {
		line, header string
		status       int
		says         string
	}{
		"no RPC":            {"POST /x", "", http.StatusNotFound, ""},
		"probe":             {"GET /healthz", "", http.StatusOK, ""},
		"unknown":           {"POST /a.v1.S/No", "Content-Type: application/json\r\n", http.StatusNotImplemented, rpcerror.ReasonUnknownProcedure},
		"wrong method":      {"PUT " + ask, "Content-Type: application/json\r\n", http.StatusMethodNotAllowed, ""},
		"no token":          {"POST " + askMe, "Content-Type: application/json\r\n", http.StatusUnauthorized, rpcerror.ReasonTokenMissing},
		"no token, stream":  {"POST " + listenToMe, "Content-Type: application/connect+json\r\n", http.StatusOK, rpcerror.ReasonTokenMissing},
		"unary":             {"POST " + ask, "Content-Type: application/json\r\n", http.StatusGatewayTimeout, "deadline_exceeded"},
		"own unary":         {"POST /grpc.health.v1.Health/Check", "Content-Type: application/json\r\n", http.StatusGatewayTimeout, "deadline_exceeded"},
		"stream, its limit": {"POST " + tell, "Content-Type: application/connect+json\r\nConnect-Timeout-Ms: 100\r\n", http.StatusOK, "deadline_exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, drip := range []bool{false, true} {
				conn := w.dial(t)
				_, err := io.WriteString(conn, c.line+" HTTP/1.1\r\nHost: x\r\n"+c.header+"Content-Length: 1000000\r\n\r\n")
				require.NoError(t, err)
				if drip {
					var dripping sync.WaitGroup
					dripping.Go(func() {
						tick := time.Tick(20 * time.Millisecond)
						for _, err := io.WriteString(conn, "\x00"); err == nil; _, err = io.WriteString(conn, "\x00") {
							<-tick
						}
					})
					defer dripping.Wait()
					defer func() { _ = conn.Close() }()
				}
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				assert.Equal(t, c.status, response.StatusCode)
				assert.Contains(t, string(body), c.says)
				wait(t, "the connection stays", w.closed)
			}
		})
	}
}

// Whoever takes nothing of what he asked for loses his connection.
func TestCallerWhoDoesNotRead(t *testing.T) {
	closed := make(chan struct{}, 100)
	w := newEdgeWorld(t, func(r *http.Request) (*http.Response, error) { return answer(r, endless{closed}), nil },
		func(h *Handler) { h.stallTime = 100 * time.Millisecond })
	for name, c := range map[string]struct{ procedure, contentType string }{
		"unary": {ask, "application/json"}, "stream": {listen, "application/connect+json"},
	} {
		t.Run(name+" HTTP1", func(t *testing.T) {
			conn := w.dial(t)
			_, err := io.WriteString(conn, "POST "+c.procedure+" HTTP/1.1\r\nHost: x\r\nContent-Type: "+c.contentType+"\r\nContent-Length: 2\r\n\r\n{}")
			require.NoError(t, err)
			wait(t, "the service still answers", closed)
			wait(t, "the connection stays", w.closed)
		})
		t.Run(name+" HTTP2", func(t *testing.T) {
			w.open(t, true, c.procedure, c.contentType, "", strings.NewReader("{}"))
			wait(t, "the service still answers", closed)
		})
	}
}

// slow says something, nothing for a while, and something again.
func slow(pause time.Duration) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "\x00\x00\x00\x00\x02{}")
		<-time.After(pause)
		_, _ = io.WriteString(w, "\x02\x00\x00\x00\x02{}")
		_ = w.Close()
	}()
	return r
}

// A stream may be silent for longer than it may be stalled.
func TestSilentStreamGoesOn(t *testing.T) {
	const stall = time.Second // a write has to leave within that, also on a machine that has much else to do
	w := newEdgeWorld(t, func(r *http.Request) (*http.Response, error) { return answer(r, slow(3*stall/2)), nil },
		func(h *Handler) { h.stallTime = stall })
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%v", h2), func(t *testing.T) {
			t.Parallel()
			body, err := io.ReadAll(w.open(t, h2, listen, "application/connect+json", "", strings.NewReader("{}")).Body)
			require.NoError(t, err)
			assert.Equal(t, "\x00\x00\x00\x00\x02{}\x02\x00\x00\x00\x02{}", string(body))
		})
	}
}

// Deadlines end with their calls: the connection is used again, also after a refusal.
func TestConnectionIsKept(t *testing.T) {
	w := newEdgeWorld(t, listensNot, nil)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	reused := 0
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused++
		}
	}}
	for _, path := range []string{ask, askMe, "/x", listenToMe, ask, listen, ask} {
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodPost, "http://"+w.address+path, strings.NewReader("{}"))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	assert.Equal(t, 6, reused)
}

// A machine stands still between the end of a call and the moment at which net/http looks for the next one. That one is the last
// one of its connection. It is served, unless it has no body: its caller may as well have left.
func TestNextRequestAfterTheMachineStoodStill(t *testing.T) {
	goesOn := func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return listensNot(r)
	}
	const (
		post    = "POST " + ask + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
		unknown = "POST /a.v1.S/No HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
		healthz = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
		noBody  = "POST " + ask + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
	)
	for name, c := range map[string]struct {
		first, next string
		status      int
		last        bool
	}{
		"unary":           {post, post, http.StatusOK, true},
		"refused":         {unknown, post, http.StatusOK, false}, // nothing was waited for with a deadline
		"no body":         {healthz, post, http.StatusOK, false},
		"no body is next": {post, noBody, statusCanceled, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var served atomic.Int64
			w := newEdgeWorldBehind(t, goesOn, nil, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(rw, r)
					if served.Add(1) == 1 {
						<-time.After(unreadTime + unreadTime/2)
					}
				})
			})
			conn := w.dial(t)
			reader := bufio.NewReader(conn)
			send := func(request string) *http.Response {
				_, err := io.WriteString(conn, request)
				require.NoError(t, err)
				response, err := http.ReadResponse(reader, nil)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				return response
			}
			send(c.first)
			response := send(c.next)
			assert.Equal(t, c.status, response.StatusCode)
			assert.Equal(t, c.last, response.Close)
			if response.Close {
				wait(t, "the connection stays", w.closed)
			}
		})
	}
}

func TestStreamsOfOneCallerAreCounted(t *testing.T) {
	w := newEdgeWorld(t, func(r *http.Request) (*http.Response, error) { return answer(r, silent{r.Context()}), nil },
		func(h *Handler) { h.Streams.SetEach(2) })
	var first *http.Response
	for range 2 {
		first = w.open(t, true, listenToMe, "application/connect+json", "usr_1", strings.NewReader("{}"))
	}
	refused := func(token string) string {
		body, err := io.ReadAll(w.open(t, true, listenToMe, "application/connect+json", token, strings.NewReader("{}")).Body)
		require.NoError(t, err)
		return string(body)
	}
	said := refused("usr_1")
	assert.Contains(t, said, "resource_exhausted")
	assert.Contains(t, said, reasonTooManyStreams)
	w.open(t, true, listenToMe, "application/connect+json", "usr_2", strings.NewReader("{}"))
	w.open(t, true, listen, "application/connect+json", "", strings.NewReader("{}"))
	require.NoError(t, first.Body.Close())
	caller, site := limit.Principal("usr_1"), limit.Address(netip.MustParseAddr("127.0.0.1"))
	require.Eventually(t, func() bool {
		leave, ok := w.h.Streams.Enter(caller, site)
		if ok {
			leave()
		}
		return ok
	}, within, time.Millisecond, "who ends a stream may begin another")
}

// Streams that nobody would end are ended, also where the gateway waits for a caller who says nothing.
func TestStreamsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		procedure, token string
		code, reason     string
		change           func(*Handler)
	}{
		"public":     {listen, "", "unavailable", rpcerror.ReasonServiceUnavailable, func(h *Handler) { h.streamAge = time.Millisecond }},
		"watch":      {"/grpc.health.v1.Health/Watch", "", "unavailable", rpcerror.ReasonServiceUnavailable, func(h *Handler) { h.streamAge = time.Millisecond }},
		"reflection": {reflection, "", "unavailable", rpcerror.ReasonServiceUnavailable, func(h *Handler) { h.streamAge = time.Millisecond }},
		"stopping":   {reflection, "", "unavailable", rpcerror.ReasonServiceUnavailable, func(h *Handler) { h.EndStreams() }},
		"expired":    {listenToMe, "usr_1", "unauthenticated", rpcerror.ReasonTokenExpired, func(h *Handler) { h.Tokens = soon{time.Millisecond} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newEdgeWorld(t, func(r *http.Request) (*http.Response, error) { return answer(r, silent{r.Context()}), nil }, c.change)
			var request io.Reader = strings.NewReader("\x00\x00\x00\x00\x02{}")
			if c.procedure == reflection {
				r, open := io.Pipe()
				defer func() { _ = open.Close() }()
				request = r
			}
			body, err := io.ReadAll(w.open(t, true, c.procedure, "application/connect+json", c.token, request).Body)
			require.NoError(t, err)
			assert.Contains(t, string(body), c.code)
			assert.Contains(t, string(body), c.reason)
		})
	}
}
