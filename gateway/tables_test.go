package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/structpb"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/rpcerror"
)

func TestServicesComeAndGo(t *testing.T) {
	w := newWorld(t, nil)
	status, a := w.post(change, "{}", nil)
	require.Equal(t, http.StatusNotImplemented, status)
	require.Equal(t, rpcerror.ReasonUnknownProcedure, a.reason())

	first := w.add(echoOffer(t, newEcho()))
	w.routable(look, true)

	first.leave()
	first.kill()
	status, a = w.post(change, "{}", nil)
	assert.Equal(t, http.StatusServiceUnavailable, status, "its routes stay")
	assert.Equal(t, rpcerror.ReasonServiceUnavailable, a.reason())

	w.add(echoOffer(t, newEcho()))
	require.Eventually(t, func() bool {
		status, _ := w.post(change, "{}", nil)
		return status == http.StatusOK
	}, within, 5*time.Millisecond)
}

func TestNewVersionBringsNewProcedures(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	old := echoOffer(t, e)
	old.schema = schema("acme/echo/v1/echo.proto", "acme.echo.v1", "EchoService", echoMethods[2])
	old.register = func(s *connect.Server) { registerAll(s, specs(t, old.schema), e) }
	first := w.add(old)
	w.routable(change, true)
	w.routable(collect, false)

	next := echoOffer(t, e)
	next.id, next.version = "echo-2", "2.0.0"
	w.add(next)
	first.leave()
	w.routable(collect, true)
}

// A service that does not answer is asked again, and does not keep the gateway from starting.
func TestServiceThatDoesNotAnswerYet(t *testing.T) {
	w := newEmptyWorld(t)
	o := echoOffer(t, newEcho())
	b := w.add(o)
	good := b.http.Handler
	failed := make(chan struct{}, 100)
	b.http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case failed <- struct{}{}:
			rw.WriteHeader(http.StatusInternalServerError)
		default:
			good.ServeHTTP(rw, r)
		}
	})
	for len(failed) < cap(failed)-2 {
		failed <- struct{}{}
	}
	w.start(nil)
	w.routable(look, true)
	assert.Contains(t, w.out.String(), "cannot get the manifest")
}

func TestManifestsThatAreRefused(t *testing.T) {
	echoOnly := schema("acme/echo/v1/echo.proto", "acme.echo.v1", "EchoService", echoMethods...)
	other := schema("acme/other/v1/other.proto", "acme.other.v1", "OtherService", method{name: "Do", rule: public, pure: true}, method{name: "Guarded", rule: authenticated, pure: true})
	bare := schema("acme/other/v1/other.proto", "acme.other.v1", "OtherService", method{name: "Do", rule: public}, method{name: "Ruleless"})
	infra := schema("grpc/fake/v1/fake.proto", "grpc.fake.v1", "FakeService", method{name: "Do", rule: public})
	exposed := &kernelv1.GatewayPolicy{Expose: true}
	for name, c := range map[string]struct {
		offer offer
		says  string
	}{
		"claims what another has": {
			offer{services: []string{"acme.other.v1.OtherService", echoService}, schema: join(other, echoOnly), policy: exposed},
			"acme.echo.v1.EchoService",
		},
		"claims an alias that another has": {
			offer{services: []string{"acme.other.v1.OtherService"}, schema: other, policy: &kernelv1.GatewayPolicy{
				Expose: true, Aliases: map[string]string{"/.well-known/jwks.json": "/acme.other.v1.OtherService/Do"},
			}},
			"/.well-known/jwks.json",
		},
		"claims infrastructure":  {offer{services: []string{"grpc.fake.v1.FakeService"}, schema: infra, policy: exposed}, "infrastructure"},
		"claims the kernel":      {offer{services: []string{"ashlar.kernel.v1.ManifestService"}, schema: other, policy: exposed}, "infrastructure"},
		"lacks a schema":         {offer{services: []string{"acme.nowhere.v1.NoService"}, schema: other, policy: exposed}, "lack"},
		"lacks a rule":           {offer{services: []string{"acme.other.v1.OtherService"}, schema: bare, policy: exposed}, "Ruleless"},
		"is about somebody else": {offer{claimed: "echo", services: []string{"acme.other.v1.OtherService"}, schema: other, policy: exposed}, "manifest is of"},
		"has an alias for too much": {
			offer{services: []string{"acme.other.v1.OtherService"}, schema: other, policy: &kernelv1.GatewayPolicy{
				Expose: true, Aliases: map[string]string{"/.well-known/other": "/acme.other.v1.OtherService/Guarded"},
			}},
			"not both public",
		},
		"has an alias elsewhere": {
			offer{services: []string{"acme.other.v1.OtherService"}, schema: other, policy: &kernelv1.GatewayPolicy{
				Expose: true, Aliases: map[string]string{"/healthz": "/acme.other.v1.OtherService/Do"},
			}},
			"no path below",
		},
		"has a limit of nothing": {
			offer{services: []string{"acme.other.v1.OtherService"}, schema: other, policy: &kernelv1.GatewayPolicy{
				Expose: true, RateLimit: &kernelv1.RateLimit{Requests: 1},
			}},
			"rate limit",
		},
		"speaks of another's procedure": {
			offer{services: []string{"acme.other.v1.OtherService"}, schema: other, policy: &kernelv1.GatewayPolicy{
				Expose: true, Procedures: map[string]*kernelv1.ProcedurePolicy{look: {Priority: kernelv1.Priority_PRIORITY_HIGH}},
			}},
			"cannot be called through the gateway",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.add(echoOffer(t, newEcho()))
			w.routable(look, true)
			c.offer.name, c.offer.id = "other", "other-1"
			w.add(c.offer)
			require.Eventually(t, func() bool {
				out := w.out.String()
				return strings.Contains(out, "a service is refused") && strings.Contains(out, c.says)
			}, within, 5*time.Millisecond)
			w.routable("/acme.other.v1.OtherService/Do", false)
			w.routable(look, true)
			status, _ := w.post(change, "{}", nil)
			assert.Equal(t, http.StatusOK, status, "first come stays")
		})
	}
}

func TestProbes(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/healthz", "/readyz"} {
		response, err := newHTTPClient(t, false).Get(w.url(path))
		require.NoError(t, err)
		_ = response.Body.Close()
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
	instances, _, _ := w.registry.Instances("gateway").Get()
	require.Len(t, instances, 1)
	assert.Equal(t, "gateway-1", instances[0].ID)
	assert.Equal(t, w.gateway.Address(), instances[0].Address)
}

func TestHealth(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		client := w.client(h2, options...)
		var res healthv1.HealthCheckResponse
		for _, service := range []string{"", echoService} {
			require.NoError(t, client.CallUnary(t.Context(), health.CheckSpec(), &healthv1.HealthCheckRequest{Service: service}, &res))
			assert.Equal(t, healthv1.HealthCheckResponse_SERVING, res.GetStatus())
		}
		err := client.CallUnary(t.Context(), health.CheckSpec(), &healthv1.HealthCheckRequest{Service: "no.such.Service"}, &res)
		assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
		stream, err := client.CallServerStream(t.Context(), health.WatchSpec(), &healthv1.HealthCheckRequest{})
		require.NoError(t, err)
		require.NoError(t, stream.Receive(&res))
		require.NoError(t, stream.Close())
	})
}

func TestReflection(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	for name, options := range dialects {
		t.Run(name, func(t *testing.T) {
			stream := grpcreflect.NewClient(w.client(true, options...)).NewStream(t.Context())
			names, err := stream.ListServices()
			require.NoError(t, err)
			var got []string
			for _, n := range names {
				got = append(got, string(n))
			}
			assert.Equal(t, []string{
				echoService, "ashlar.auth.v1.KeyService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
			}, got)
			files, err := stream.FileContainingSymbol(echoService)
			require.NoError(t, err)
			var methods []string
			for _, file := range files {
				if file.GetPackage() == "acme.echo.v1" {
					for _, m := range file.GetService()[0].GetMethod() {
						methods = append(methods, m.GetName())
					}
				}
			}
			assert.Equal(t, []string{"WhoAmI", "Look", "Change", "Manage", "Collect", "Count", "Converse"}, methods, "internal ones are not shown")
			_, err = stream.FileByFilename("google/protobuf/struct.proto")
			require.NoError(t, err)
			_, err = stream.FileContainingSymbol("grpc.health.v1.Health")
			require.NoError(t, err)
			files, err = stream.FileContainingExtension("google.protobuf.MethodOptions", 50701)
			require.NoError(t, err)
			assert.NotEmpty(t, files)
			_, err = stream.FileContainingSymbol("no.such.Thing")
			require.Error(t, err)
			require.NoError(t, stream.Close())
		})
	}
}

// What the ops listener shows: outcomes in each protocol, and nothing that strangers made up.
func TestMetricsAndLog(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		client := w.client(h2, options...)
		_ = client.CallUnary(t.Context(), spec(t, look), message("do", "fail"), &structpb.Struct{})
		stream, err := client.CallServerStream(t.Context(), spec(t, count), message("do", "fail"))
		require.NoError(t, err)
		require.Error(t, drain(stream))
		stream, err = client.CallServerStream(t.Context(), spec(t, count), message("text", "sesame"))
		require.NoError(t, err)
		require.NoError(t, drain(stream))
	})
	_, _ = w.post("/made.up/Thing", "{}", bearer("sesame"))
	want := []string{
		`ashlar_gateway_requests_total{code="failed_precondition",procedure="` + look + `",protocol="connect_get"} 2`,
		`ashlar_gateway_requests_total{code="failed_precondition",procedure="` + look + `",protocol="grpc"} 4`,
		`ashlar_gateway_requests_total{code="failed_precondition",procedure="` + look + `",protocol="grpc_web"} 4`,
		`ashlar_gateway_requests_total{code="failed_precondition",procedure="` + look + `",protocol="connect"} 6`,
		`ashlar_gateway_requests_total{code="failed_precondition",procedure="` + count + `",protocol="connect_stream"} 8`,
		`ashlar_gateway_requests_total{code="failed_precondition",procedure="` + count + `",protocol="grpc"} 4`,
		`ashlar_gateway_requests_total{code="ok",procedure="` + count + `",protocol="connect_stream"} 8`,
		`ashlar_gateway_requests_total{code="ok",procedure="` + count + `",protocol="grpc"} 4`,
		`ashlar_gateway_requests_total{code="ok",procedure="` + count + `",protocol="grpc_web"} 4`,
		`ashlar_gateway_requests_in_flight 0`,
	}
	var text string
	require.Eventually(t, func() bool {
		text = w.metrics()
		for _, line := range want {
			if !strings.Contains(text, line) {
				return false
			}
		}
		return true
	}, within, 5*time.Millisecond, "%v", want)
	assert.Contains(t, text, `procedure="unknown"`)
	assert.NotContains(t, text, "made.up")
	assert.Contains(t, w.out.String(), look)
	assert.NotContains(t, w.out.String(), "sesame", "neither tokens nor messages")
}

func (w *world) metrics() string {
	mux := http.NewServeMux()
	w.telem.Mount(mux)
	recorder := &recorder{header: http.Header{}}
	request, err := http.NewRequest(http.MethodGet, "/metrics", nil)
	require.NoError(w.t, err)
	mux.ServeHTTP(recorder, request)
	return recorder.body.String()
}

type recorder struct {
	header http.Header
	body   strings.Builder
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(int) {}
