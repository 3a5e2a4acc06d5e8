package gateway_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/kernel/telemetry"
)

// span is what a process told the collector.
type span struct {
	*tracev1.Span

	process string
}

// collector takes spans over OTLP.
type collector struct {
	mu    sync.Mutex
	spans []span
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collectorv1.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		process := ""
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				process = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{s, process})
			}
		}
	}
}

// of returns the spans of a process.
func (c *collector) of(process string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s span) bool { return s.process != process })
}

// Whatever the protocol, a call is one trace: the gateway's span is its root, the service's the child of that, and the
// access log names it. What the caller says of traces counts for nothing.
func TestTracesJoin(t *testing.T) {
	spans := &collector{}
	server := httptest.NewServer(spans)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections) // of exporters
	for name, c := range map[string]struct {
		procedure string
		h2        bool
		options   []connecthttp.Option
	}{
		"connect":     {whoAmI, false, nil},
		"connect get": {look, false, []connecthttp.Option{connecthttp.WithHTTPGet()}},
		"grpc":        {change, true, []connecthttp.Option{connecthttp.WithGRPC()}},
		"grpc-web":    {change, false, []connecthttp.Option{connecthttp.WithGRPCWeb()}},
		"grpc stream": {count, true, []connecthttp.Option{connecthttp.WithGRPC()}},
	} {
		t.Run(name, func(t *testing.T) {
			spans.mu.Lock()
			spans.spans = nil
			spans.mu.Unlock()
			w := newEmptyWorld(t)
			w.addAuth()
			traced, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{Service: "echo"}, io.Discard)
			require.NoError(t, err)
			interceptor, err := traced.Server()
			require.NoError(t, err)
			o := echoOffer(t, newEcho())
			o.interceptors = []connect.ServerInterceptor{interceptor}
			w.add(o)
			w.startWithoutCleanup(logging(1))
			require.Eventually(t, func() bool { return len(w.shownService("echo").Procedures) > 0 }, within, 5*time.Millisecond)

			ctx, info := connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Authorization", "Bearer "+w.token(nil))
			info.RequestHeader().Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			require.NoError(t, w.client(c.h2, c.options...).CallUnary(ctx, spec(t, c.procedure), message("text", "x"), &structpb.Struct{}))
			require.NoError(t, w.group.Stop(context.Background()))
			require.NoError(t, traced.Shutdown(context.Background()))

			service := slices.DeleteFunc(spans.of("echo"), func(s span) bool { return !strings.Contains(c.procedure, s.GetName()) })
			require.Len(t, service, 1)
			gateway := slices.DeleteFunc(spans.of("gateway"), func(s span) bool { return s.GetName() != c.procedure })
			require.Len(t, gateway, 1)
			assert.Empty(t, gateway[0].GetParentSpanId())
			assert.Equal(t, gateway[0].GetTraceId(), service[0].GetTraceId())
			assert.Equal(t, gateway[0].GetSpanId(), service[0].GetParentSpanId())
			assert.NotEqual(t, "0af7651916cd43dd8448eb211c80319c", hex.EncodeToString(gateway[0].GetTraceId()))
			assert.Contains(t, w.out.String(), hex.EncodeToString(gateway[0].GetTraceId()))
		})
	}
}
