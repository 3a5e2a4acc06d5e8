package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/platform/gatewayops"
)

// explainPath is the page of the operations listener that says what the gateway would do with a request.
func explainPath(method, path string) string {
	return gatewayops.ExplainPath + "?" + url.Values{"method": {method}, "path": {path}}.Encode()
}

// ops reads a page of the operations listener.
func (w *world) ops(path string, into any) int {
	w.t.Helper()
	response, err := newHTTPClient(w.t, false).Get("http://" + w.gateway.OpsAddress() + path)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	if into != nil {
		require.NoError(w.t, json.Unmarshal(body, into), string(body))
	}
	return response.StatusCode
}

func (w *world) shownService(name string) gatewayops.Service {
	w.t.Helper()
	var all gatewayops.Routes
	require.Equal(w.t, http.StatusOK, w.ops(gatewayops.RoutesPath, &all))
	require.Equal(w.t, "gateway-1", all.Gateway)
	at := slices.IndexFunc(all.Services, func(s gatewayops.Service) bool { return s.Name == name })
	if at < 0 {
		return gatewayops.Service{}
	}
	return all.Services[at]
}

func TestRoutesPage(t *testing.T) {
	w := newWorld(t, nil)
	first := w.add(echoOffer(t, newEcho()))
	hidden := offer{name: "hidden", id: "hidden-1", version: "2.0.0", services: []string{"acme.hidden.v1.HiddenService"}, policy: &kernelv1.GatewayPolicy{}}
	hidden.schema = schema("acme/hidden/v1/hidden.proto", "acme.hidden.v1", "HiddenService", echoMethods[2])
	w.add(hidden)
	thief := echoOffer(t, newEcho())
	thief.name, thief.id = "thief", "thief-1"
	liar := offer{name: "liar", id: "liar-1", claimed: "echo"}
	w.routable(look, true)
	w.add(thief)
	w.add(liar)
	require.Eventually(t, func() bool {
		return w.shownService("thief").Why != "" && w.shownService("liar").Why != "" && w.shownService("hidden").State == gatewayops.StateNotExposed
	}, within, 5*time.Millisecond)

	echo := w.shownService("echo")
	assert.Equal(t, gatewayops.StateRouted, echo.State)
	assert.Equal(t, "1.0.0", echo.Version)
	assert.Equal(t, []string{secret}, echo.Internal)
	require.Len(t, echo.Instances, 1)
	assert.Equal(t, []any{"echo-1", "1.0.0", gatewayops.InstanceReady, int64(0)},
		[]any{echo.Instances[0].ID, echo.Instances[0].Version, echo.Instances[0].State, echo.Instances[0].Outstanding})
	assert.Contains(t, echo.Procedures, gatewayops.Procedure{Procedure: look, Access: "public", Stream: "unary", Get: true, TimeoutMS: 30_000, Priority: "normal"})
	assert.Contains(t, echo.Procedures, gatewayops.Procedure{Procedure: manage, Access: "permission", Stream: "unary", TimeoutMS: 30_000, Priority: "normal"})
	assert.Len(t, echo.Procedures, len(echoMethods)-1)
	assert.Equal(t, []string{"/.well-known/jwks.json"}, w.shownService("auth").Procedures[0].Aliases)
	assert.Equal(t, gatewayops.StateRefused, w.shownService("thief").State)
	assert.Contains(t, w.shownService("thief").Why, "which echo has")
	assert.Equal(t, gatewayops.StateRefused, w.shownService("liar").State)
	assert.Contains(t, w.shownService("liar").Why, `the manifest is of "echo"`)
	assert.Empty(t, w.shownService("hidden").Procedures)
	assert.NotEmpty(t, w.shownService("gateway").Procedures, "its own")

	t.Run("filters", func(t *testing.T) {
		var some gatewayops.Routes
		w.ops(gatewayops.RoutesPath+"?service=ech&procedure=Look", &some)
		require.Len(t, some.Services, 1)
		require.Len(t, some.Services[0].Procedures, 1)
		assert.Empty(t, some.Services[0].Internal)
		w.ops(gatewayops.RoutesPath+"?procedure=nothing", &some)
		assert.Empty(t, some.Services)
	})

	t.Run("explain", func(t *testing.T) {
		for _, c := range []struct {
			method, path string
			taken        bool
			service, why string
		}{
			{"post", look, true, "echo", "access is public; 1 of 1 instances"},
			{"GET", look + "?encoding=json", true, "echo", "access is public"},
			{"GET", change, false, "echo", "POST only"},
			{"PUT", look, false, "echo", "RPCs take POST"},
			{"POST", secret, false, "echo", "internal"},
			{"POST", "/acme.echo.v1.EchoService/Nothing", false, "echo", "no such method"},
			{"POST", "/acme.hidden.v1.HiddenService/Change", false, "hidden", "not exposed"},
			{"POST", "/acme.echo.v1.EchoService/look", false, "echo", "to the letter"},
			{"POST", "//acme.echo.v1.EchoService/Look", false, "echo", "to the letter"},
			{"POST", "/acme.echo.v1.EchoService%2fLook", false, "", "escaped"},
			{"POST", "/no.such/Thing", false, "", "claims it"},
			{"GET", "/.well-known/jwks.json", true, "auth", "another path"},
			{"POST", "/.well-known/jwks.json", false, "auth", "GET only"},
			{"GET", "/readyz", true, "gateway", "itself"},
			{"POST", "/grpc.health.v1.Health/Check", true, "gateway", "itself"},
		} {
			var e gatewayops.Explanation
			require.Equal(t, http.StatusOK, w.ops(explainPath(c.method, c.path), &e))
			assert.Equal(t, c.taken, e.Taken, "%s %s", c.method, c.path)
			assert.Equal(t, c.service, e.Service, "%s %s", c.method, c.path)
			assert.Contains(t, e.Why, c.why, "%s %s", c.method, c.path)
		}
		assert.Equal(t, http.StatusBadRequest, w.ops(gatewayops.ExplainPath, nil))
	})

	t.Run("an instance in probation", func(t *testing.T) {
		second := echoOffer(t, newEcho())
		second.id = "echo-2"
		w.add(second)
		first.kill()
		require.Eventually(t, func() bool {
			_, _ = w.post(look, "{}", nil)
			instances := w.shownService("echo").Instances
			return len(instances) == 2 && instances[0].State == gatewayops.InstanceProbation && instances[0].ForMS > 0 && instances[0].Failures > 0
		}, within, 5*time.Millisecond)
	})
}

type connectionsPage struct {
	Connections []struct {
		ID                       uint64
		Client, HTTP, State      string
		ReceivedBytes, SentBytes int64
	}
	Total int
	Next  string
}

type streamsPage struct {
	Streams []struct {
		ID                                                              uint64
		Procedure, Protocol, HTTP, Client, Principal, Service, Instance string
		ReceivedBytes, SentBytes                                        int64
	}
	Total int
	Next  string
}

func TestConnectionsPage(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	require.Eventually(t, func() bool { return len(w.shownService("echo").Procedures) > 0 }, within, 5*time.Millisecond)
	var conns []net.Conn
	for range 5 { // each has made a request, so that it may be idle for long
		conn, err := net.Dial("tcp", w.gateway.Address())
		require.NoError(t, err)
		_, err = conn.Write([]byte("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		conns = append(conns, conn)
	}
	var page connectionsPage
	require.Eventually(t, func() bool {
		w.ops("/connections", &page)
		return page.Total == 5 && page.Connections[0].State == "idle"
	}, within, 5*time.Millisecond)
	assert.Equal(t, []any{"1.1", "idle", conns[0].LocalAddr().String()}, []any{page.Connections[0].HTTP, page.Connections[0].State, page.Connections[0].Client})

	page = connectionsPage{}
	w.ops("/connections?limit=3&client=127.0.0.1", &page)
	require.Len(t, page.Connections, 3)
	last := page.Connections[2].ID
	require.NotEmpty(t, page.Next)
	next := page.Next
	page = connectionsPage{}
	w.ops("/connections?limit=3&after="+next, &page)
	require.Len(t, page.Connections, 2)
	assert.Greater(t, page.Connections[0].ID, last)
	assert.Empty(t, page.Next)
	w.ops("/connections?client=127.0.0.2", &page)
	assert.Zero(t, page.Total)
	for _, bad := range []string{"?limit=0", "?limit=1001", "?limit=x", "?after=x"} {
		assert.Equal(t, http.StatusBadRequest, w.ops("/connections"+bad, nil), bad)
	}

	page = connectionsPage{}
	w.ops("/connections", &page)
	before := page.Connections[0]
	_, err := conns[0].Write([]byte("POST " + look + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		page := connectionsPage{}
		w.ops("/connections", &page)
		return page.Connections[0].ReceivedBytes > before.ReceivedBytes && page.Connections[0].State == "active"
	}, within, 5*time.Millisecond)
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool { w.ops("/connections", &page); return page.Total == 0 }, within, 5*time.Millisecond)
}

func TestStreamsPage(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	stream, err := w.client(true, connecthttp.WithGRPC()).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	require.NoError(t, stream.Send(message("text", "hello")))
	require.NoError(t, stream.Receive(&structpb.Struct{}))
	var page streamsPage
	w.ops("/streams?procedure="+url.QueryEscape(converse), &page)
	require.Len(t, page.Streams, 1)
	got := page.Streams[0]
	assert.Equal(t, []string{converse, "grpc", "HTTP/2.0", "127.0.0.1", "", "echo", "echo-1"},
		[]string{got.Procedure, got.Protocol, got.HTTP, got.Client, got.Principal, got.Service, got.Instance})
	assert.Positive(t, got.ReceivedBytes)
	assert.Positive(t, got.SentBytes)
	var connections connectionsPage
	w.ops("/connections", &connections)
	assert.Contains(t, []string{connections.Connections[len(connections.Connections)-1].HTTP}, "2")
	w.ops("/streams?principal=usr_1", &page)
	assert.Zero(t, page.Total)

	require.NoError(t, stream.CloseSend())
	for err == nil {
		err = stream.Receive(&structpb.Struct{})
	}
	require.True(t, errors.Is(err, io.EOF), err)
	require.Eventually(t, func() bool { w.ops("/streams", &page); return page.Total == 0 }, within, 5*time.Millisecond)
}

// A stream that has a connection to its service for itself is shown like any other.
func TestStreamAloneOnItsPage(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := w.client(true).CallServerStream(ctx, spec(t, count), message("do", "send-and-wait"))
	require.NoError(t, err)
	require.NoError(t, stream.Receive(&structpb.Struct{}))
	var page streamsPage
	w.ops("/streams", &page)
	require.Len(t, page.Streams, 1)
	assert.Equal(t, "echo-1", page.Streams[0].Instance)
	<-e.waiting
	cancel()
	<-e.ended
	_ = stream.Close()
	require.Eventually(t, func() bool { w.ops("/streams", &page); return page.Total == 0 }, within, 5*time.Millisecond)
}

// Persons are not shown to whoever reaches the listener.
func TestOpsDebugOfTheGateway(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.OpsDebug = "none" })
	for path, want := range map[string]int{
		"/connections": http.StatusForbidden, "/streams": http.StatusForbidden, "/debug/pprof/heap": http.StatusForbidden,
		gatewayops.RoutesPath: http.StatusOK, "/metrics": http.StatusOK, "/readyz": http.StatusOK,
	} {
		assert.Equal(t, want, w.ops(path, nil), path)
	}
}

func TestMetricsOfWhatIsBehind(t *testing.T) {
	w := newWorld(t, nil)
	b := w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	liar := offer{name: "liar", id: "liar-1", claimed: "echo"}
	w.add(liar)
	echo := func(more ...string) map[string]string {
		labels := map[string]string{"service": "echo"}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return labels
	}
	before := w.counted("ashlar_gateway_upstream_attempts_total", echo())
	for range 5 {
		_, _ = w.post(look, "{}", nil)
	}
	assert.InDelta(t, before+5, w.counted("ashlar_gateway_upstream_attempts_total", echo()), 0)
	assert.InDelta(t, 1, w.counted("ashlar_gateway_upstream_instances", echo("state", "ready")), 0)
	_, _ = w.post(whoAmI, "{}", nil)
	assert.InDelta(t, 1, w.counted("ashlar_gateway_refused_total", map[string]string{"reason": "TOKEN_MISSING"}), 0)
	require.Eventually(t, func() bool {
		return w.counted("ashlar_gateway_services", map[string]string{"state": gatewayops.StateRefused}) == 1
	}, within, 5*time.Millisecond)
	assert.InDelta(t, 2, w.counted("ashlar_gateway_services", map[string]string{"state": gatewayops.StateRouted}), 0)

	b.kill()
	require.Eventually(t, func() bool {
		_, _ = w.post(look, "{}", nil)
		return w.counted("ashlar_gateway_upstream_ejections_total", echo()) > 0
	}, within, 5*time.Millisecond)
	assert.Positive(t, w.counted("ashlar_gateway_upstream_failures_total", echo("kind", "unreachable")))
	assert.Zero(t, w.counted("ashlar_gateway_upstream_retries_total", echo("outcome", "denied")))
	assert.Positive(t, w.counted("ashlar_gateway_refused_total", map[string]string{"reason": "SERVICE_UNAVAILABLE"}))
	_ = w.metrics() // a scrape takes them all
	assert.Zero(t, w.counted("ashlar_gateway_streams", nil))
}
