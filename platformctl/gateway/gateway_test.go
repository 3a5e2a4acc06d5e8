package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platform/gatewayops"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// fake is the operations listener of a gateway.
func fake(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func serving(t *testing.T, routes gatewayops.Routes) string {
	return fake(t, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(routes) })
}

func notes(version string) gatewayops.Service {
	return gatewayops.Service{
		Name: "notes", Version: version, State: gatewayops.StateRouted, Internal: []string{"/acme.notes.v1.S/Inside"},
		Procedures: []gatewayops.Procedure{
			{Procedure: "/acme.notes.v1.S/Get", Access: "permission", Stream: "unary", Get: true, TimeoutMS: 1500, Limits: []gatewayops.Limit{{Of: "notes", PerSecond: 50, Burst: 100}}},
		},
		Instances: []gatewayops.Instance{{ID: "notes-1", Version: version, Address: "127.0.0.1:1", State: gatewayops.InstanceProbation, ForMS: 1234, Failures: 2}},
	}
}

func TestRoutesOfGatewaysThatAgreeAndDoNot(t *testing.T) {
	t.Parallel()
	refused := gatewayops.Service{Name: "thief", State: gatewayops.StateRefused, Why: "it claims \x1b[2Jx, which notes has"}
	one := serving(t, gatewayops.Routes{Gateway: "gateway-1", Services: []gatewayops.Service{notes("1.0.0"), refused}})
	two := serving(t, gatewayops.Routes{Gateway: "gateway-2", Services: []gatewayops.Service{notes("1.0.0")}})
	run := func(change func(*Routes), addresses ...string) (string, error) {
		var out strings.Builder
		r := &Routes{Gateways: Gateways{OpsAddr: addresses}}
		if change != nil {
			change(r)
		}
		err := r.Run(t.Context(), &output.Streams{Out: &out, Err: io.Discard})
		return out.String(), err
	}
	out, err := run(nil, two, two)
	require.NoError(t, err)
	require.Equal(t, `SERVICE  VERSION  STATE     PROCEDURE               ACCESS      STREAM  METHODS    TIMEOUT  LIMIT              WHY
notes    1.0.0    no route  acme.notes.v1.S/Inside  internal    -       -          -        -                  only services may call it
notes    1.0.0    routed    acme.notes.v1.S/Get     permission  unary   GET, POST  1.5s     50/s, 100 at once  -
`, out)
	out, err = run(nil, one, two)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^gateway-1  thief .*it claims \x{FFFD}\[2Jx, which notes has$`, out)
	require.Regexp(t, `(?m)^all +notes +1.0.0 +routed`, out)

	out, err = run(func(r *Routes) { r.Instances = true }, one)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^gateway-1 +notes +notes-1 +1\.0\.0 +- +127\.0\.0\.1:1 +probation, 1\.2s +0 +2$`, out)

	out, err = run(nil, one, "127.0.0.1:1")
	require.Equal(t, exit.Unavailable, exit.Code(err), "one does not answer")
	require.Contains(t, out, "notes", "and the other does")
}

// metrics are those of a gateway that has answered so many requests, a tenth of them with an error, nine tenths within 5 ms.
func metrics(n int) string {
	return fmt.Sprintf(`# TYPE ashlar_gateway_requests_total counter
ashlar_gateway_requests_total{code="ok",procedure="/a.v1.S/M",protocol="grpc"} %d
ashlar_gateway_requests_total{code="internal",procedure="/a.v1.S/M",protocol="connect"} %d
ashlar_gateway_requests_total{code="ok",procedure="/a.v1.S/Idle",protocol="connect"} 7
# TYPE ashlar_gateway_request_duration_seconds histogram
ashlar_gateway_request_duration_seconds_bucket{procedure="/a.v1.S/M",protocol="grpc",le="0.001"} 0
ashlar_gateway_request_duration_seconds_bucket{procedure="/a.v1.S/M",protocol="grpc",le="0.005"} %d
ashlar_gateway_request_duration_seconds_bucket{procedure="/a.v1.S/M",protocol="grpc",le="0.01"} %d
ashlar_gateway_request_duration_seconds_bucket{procedure="/a.v1.S/M",protocol="grpc",le="+Inf"} %d
ashlar_gateway_request_duration_seconds_sum{procedure="/a.v1.S/M",protocol="grpc"} 1
ashlar_gateway_request_duration_seconds_count{procedure="/a.v1.S/M",protocol="grpc"} %d
# TYPE ashlar_gateway_requests_in_flight gauge
ashlar_gateway_requests_in_flight 3
# TYPE ashlar_gateway_upstream_in_flight gauge
ashlar_gateway_upstream_in_flight{service="a"} 9
ashlar_gateway_upstream_in_flight{service="b"} 7
# TYPE ashlar_gateway_upstream_limit gauge
ashlar_gateway_upstream_limit{service="a"} 12
ashlar_gateway_upstream_limit{service="b"} +Inf
# TYPE ashlar_discovery_view_age_seconds gauge
ashlar_discovery_view_age_seconds{view="services"} 4
ashlar_discovery_view_age_seconds{view="instances of a"} 9
`, n*9/10, n/10, n*9/10, n, n, n)
}

func TestTop(t *testing.T) {
	t.Parallel()
	counting := func() string {
		var looks atomic.Int64
		return fake(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/metrics" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, metrics(int(100*looks.Add(1))))
		})
	}
	var out strings.Builder
	top := &Top{Gateways: Gateways{OpsAddr: []string{counting(), counting()}}, Flag: output.Flag{Output: "json"}, Interval: leastInterval}
	require.NoError(t, top.Run(t.Context(), &output.Streams{Out: &out}))
	var got traffic
	require.NoError(t, json.Unmarshal([]byte(out.String()), &got))
	require.Equal(t, 2, got.Gateways)
	require.InDelta(t, 6, got.InFlight, 0)
	require.InDelta(t, 9, got.ViewAgeSeconds, 0)
	require.Equal(t, []busy{{Service: "a", InFlight: 18, Limit: 24}}, got.Overloaded, "of both, and not what has no limit")
	require.Contains(t, got.summary(), "overloaded: a works on 18 calls of 24 that it may")
	require.Len(t, got.Procedures, 1, "what nobody calls is not shown")
	u := got.Procedures[0]
	require.Equal(t, "a.v1.S/M", u.Procedure)
	require.Greater(t, u.RequestsPerSecond, 0.0)
	require.InDelta(t, u.RequestsPerSecond/10, u.ErrorsPerSecond, 1e-6)
	require.InDelta(t, got.RequestsPerSecond, u.RequestsPerSecond, 1e-6)
	require.InDelta(t, 0.001+0.004*50/90, *u.P50Seconds, 1e-6)
	require.InDelta(t, 0.005+0.005*9/10, *u.P99Seconds, 1e-6)

	out.Reset()
	top.Flag, top.Each = output.Flag{}, true
	require.NoError(t, top.Run(t.Context(), &output.Streams{Out: &out}))
	require.Equal(t, 3, strings.Count(out.String(), "\n"), "a line for each gateway, and not more than once where nobody sees it:\n%s", out.String())
	require.Contains(t, out.String(), "3.22ms")
}

func TestTopDrawsOverWhatWasThere(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, (&Top{Interval: time.Second}).draw(&out, traffic{Procedures: []usage{{Procedure: "a\x1b[31m"}}}, []error{context.DeadlineExceeded}))
	require.True(t, strings.HasPrefix(out.String(), "\x1b[H"))
	require.True(t, strings.HasSuffix(out.String(), "\x1b[J"))
	require.Equal(t, strings.Count(out.String(), "\n"), strings.Count(out.String(), "\x1b[K"))
	require.NotContains(t, out.String(), "\x1b[31m")
	require.Contains(t, out.String(), "deadline exceeded")
}

// A gateway that was started anew counts from zero, and one that has just come has nothing to be compared with.
func TestCompareOfGatewaysThatChange(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(id string, n float64, when time.Time) sample {
		return sample{id: id, taken: when, requests: map[string]float64{"/m": n}}
	}
	got := (&Top{}).compare([]sample{at("a", 1000, now), at("gone", 5, now)}, []sample{at("a", 10, now.Add(time.Second)), at("new", 7, now.Add(time.Second))})
	require.Equal(t, 1, got.Gateways)
	require.InDelta(t, 10, got.RequestsPerSecond, 1e-9)
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	require.True(t, math.IsNaN(quantile(0.5, nil)))
	require.True(t, math.IsNaN(quantile(0.5, map[float64]float64{1: 0, inf: 0})))
	require.InDelta(t, 0.5, quantile(0.5, map[float64]float64{1: 10, inf: 10}), 1e-9)
	require.InDelta(t, 1, quantile(0.99, map[float64]float64{1: 1, inf: 10}), 1e-9, "above the highest bound nothing is known")
	require.InDelta(t, 1.5, quantile(0.75, map[float64]float64{1: 5, 2: 10, inf: 10}), 1e-9)
}
