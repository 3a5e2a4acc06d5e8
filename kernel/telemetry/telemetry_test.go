package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/emptypb"

	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/telemetry"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func newTelemetry(t *testing.T, cfg telemetry.Config, out io.Writer) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), cfg, telemetry.Process{Service: "notes", Version: "1.2.3", InstanceID: "notes_1"}, out)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	return tel
}

func TestLog(t *testing.T) {
	t.Parallel()
	for format, level := range map[string]slog.Level{"json": slog.LevelInfo, "text": slog.LevelWarn, "": slog.LevelDebug} {
		var out bytes.Buffer
		tel := newTelemetry(t, telemetry.Config{LogFormat: format, LogLevel: level}, &out)
		for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			tel.Log.Log(t.Context(), l, "hello")
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, map[slog.Level]int{slog.LevelDebug: 4, slog.LevelInfo: 3, slog.LevelWarn: 2}[level])
		if format == "text" {
			require.Contains(t, lines[0], "service=notes instance=notes_1")
			continue
		}
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &line))
		require.Equal(t, "notes", line["service"])
		require.Equal(t, "notes_1", line["instance"])
		require.NotContains(t, line, "trace_id")
	}
}

func TestLinesNameTheirTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tel := newTelemetry(t, telemetry.Config{}, &out)
	ctx, span := tel.Traces.Tracer("test").Start(t.Context(), "call")
	defer span.End()
	tel.Log.With("a", 1).WithGroup("g").InfoContext(ctx, "hello", "b", 2)
	require.Contains(t, out.String(), span.SpanContext().TraceID().String())
	require.Contains(t, out.String(), span.SpanContext().SpanID().String())
}

// A trace goes on from a caller to what it calls, and calls are counted.
func TestTracesAndMetricsOfCalls(t *testing.T) {
	t.Parallel()
	tel := newTelemetry(t, telemetry.Config{}, io.Discard)
	serverSide, err := tel.Server()
	require.NoError(t, err)
	clientSide, err := tel.Client()
	require.NoError(t, err)
	traces := make(chan trace.SpanContext, 1)
	spec := connect.Spec{Procedure: "/acme.notes.v1.NoteService/GetNote"}
	server := connect.NewServer(serverSide)
	server.Register(connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
		traces <- trace.SpanContextFromContext(ctx)
		if err := stream.Receive(&emptypb.Empty{}); err != nil {
			return err
		}
		return stream.Send(&emptypb.Empty{})
	}})
	client := connect.NewClient(connectinprocess.New(server), clientSide)
	ctx, span := tel.Traces.Tracer("test").Start(t.Context(), "caller")
	require.NoError(t, client.CallUnary(ctx, spec, &emptypb.Empty{}, &emptypb.Empty{}))
	span.End()
	require.Equal(t, span.SpanContext().TraceID(), (<-traces).TraceID())

	mux := http.NewServeMux()
	tel.Mount(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	for _, name := range []string{"go_goroutines", "process_open_fds", "rpc_server_", "rpc_client_", "acme.notes.v1.NoteService"} {
		require.Contains(t, w.Body.String(), name)
	}
}

// Traces are sent where the standard variable says, and at the latest when the process ends.
func TestTracesAreSent(t *testing.T) {
	var received atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			received.Add(1)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{Service: "notes"}, io.Discard)
	require.NoError(t, err)
	_, span := tel.Traces.Tracer("test").Start(t.Context(), "call")
	span.End()
	require.NoError(t, tel.Shutdown(t.Context()))
	require.EqualValues(t, 1, received.Load())
}
