// Package telemetry makes what a process tells about itself: logs (slog), metrics (Prometheus) and traces
// (OpenTelemetry; sent over OTLP where OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set).
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"connectrpc.com/connect/v2"
	"connectrpc.com/otelconnect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/semconv/v1.37.0"
)

// Config is the part of a process's configuration that telemetry reads.
type Config struct {
	LogLevel  slog.Level `help:"Least level that is logged: DEBUG, INFO, WARN or ERROR." default:"INFO" reload:""`
	LogFormat string     `help:"Form of log lines: ${enum}." enum:"text,json" default:"json"`
}

// Process says who tells.
type Process struct {
	Service, Version, InstanceID string
}

// Telemetry is what the parts of a process tell with. All of it is safe for concurrent use.
type Telemetry struct {
	Log     *slog.Logger
	Metrics *prometheus.Registry
	Traces  *sdktrace.TracerProvider

	level      *slog.LevelVar
	exporting  bool
	meters     *sdkmetric.MeterProvider
	propagator propagation.TextMapPropagator
}

// New returns the telemetry of a process. Logs go to out.
func New(ctx context.Context, cfg Config, process Process, out io.Writer) (*Telemetry, error) {
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	t := &Telemetry{
		Log:        newLogger(cfg, level, process, out),
		level:      level,
		Metrics:    prometheus.NewRegistry(),
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
	t.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	identity := resource.NewSchemaless(semconv.ServiceName(process.Service), semconv.ServiceNamespace("ashlar"),
		semconv.ServiceVersion(process.Version), semconv.ServiceInstanceID(process.InstanceID))
	metrics, err := otelprometheus.New(otelprometheus.WithRegisterer(t.Metrics), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(metrics), sdkmetric.WithResource(identity))

	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(identity)}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: traces: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
		t.exporting = true
	}
	t.Traces = sdktrace.NewTracerProvider(options...)
	return t, nil
}

// SetLogLevel sets the least level that is logged.
func (t *Telemetry) SetLogLevel(level slog.Level) { t.level.Set(level) }

// Server returns the interceptor that traces and measures the RPCs that a server serves, and continues the traces of
// its callers: services are called by the gateway and by each other, not from outside.
func (t *Telemetry) Server() (connect.ServerInterceptor, error) {
	return otelconnect.NewServerInterceptor(append(t.options(), otelconnect.WithTrustRemote())...)
}

// Client returns the interceptor that traces and measures the RPCs that a client makes.
func (t *Telemetry) Client() (connect.ClientInterceptor, error) {
	return otelconnect.NewClientInterceptor(t.options()...)
}

func (t *Telemetry) options() []otelconnect.Option {
	return []otelconnect.Option{
		otelconnect.WithTracerProvider(t.Traces), otelconnect.WithMeterProvider(t.meters), otelconnect.WithPropagator(t.propagator),
	}
}

// Exporting tells whether traces are sent anywhere, for those whose spans would be many.
func (t *Telemetry) Exporting() bool { return t.exporting }

// Propagator carries trace context over requests that are not RPC calls of ours.
func (t *Telemetry) Propagator() propagation.TextMapPropagator { return t.propagator }

// Mount serves /metrics.
func (t *Telemetry) Mount(mux *http.ServeMux) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Metrics, promhttp.HandlerOpts{Registry: t.Metrics}))
}

// Shutdown sends what is still to be sent.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	return errors.Join(t.Traces.Shutdown(ctx), t.meters.Shutdown(ctx))
}
