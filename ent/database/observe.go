package database

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

const (
	// A database that is slow is slow for all, and must not fill the log: at most
	// so many lines a second, after so many at once.
	slowLinesPerSecond = 1
	slowLinesBurst     = 10
	// tracer is the name under which statements are in traces.
	tracer = "ashlar.dev/ent/database"
)

// Observation is what a database tells about its statements. The zero value
// tells nothing.
type Observation struct {
	// Log gets a warning about each statement that took SlowQuery or longer: its
	// text without the values of its parameters, and how long it took, from when
	// it was sent until its last row was read. Nil: no warnings. A log that knows
	// the trace of a context names it.
	Log *slog.Logger
	// SlowQuery is how long a statement may take; 0: any time.
	SlowQuery time.Duration
	// Metrics gets the metrics of the pool and the number of slow statements. Where
	// a process has several databases, each needs a registry of its own, or one
	// wrapped with a label. Nil: no metrics.
	Metrics prometheus.Registerer
	// Traces adds a span for each statement to traces that are recorded. Their spans
	// have the statement's text, too.
	Traces bool
	// Statement, unless it is nil, is told of each statement before it is sent, for
	// tests. It may be called by several goroutines at once.
	Statement func(query string, args []any)
}

// Option is something that New is told beyond the address.
type Option func(*Database)

// Observe makes the database tell about its statements; those of migrations
// excepted, which take as long as they take.
func Observe(o Observation) Option {
	return func(d *Database) { d.observer = newObserver(o) }
}

// observer is told of each statement, by the driver that sends it.
type observer struct {
	Observation

	lines  *rate.Limiter
	unsaid atomic.Int64
	slow   prometheus.Counter
}

// newObserver returns nil where there is nothing to tell, so that nobody pays
// for it.
func newObserver(o Observation) *observer {
	if o.Log == nil || o.SlowQuery <= 0 {
		o.Log, o.SlowQuery = nil, 0
	}
	if o.Log == nil && o.Metrics == nil && !o.Traces && o.Statement == nil {
		return nil
	}
	return &observer{
		Observation: o,
		lines:       rate.NewLimiter(slowLinesPerSecond, slowLinesBurst),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_database_slow_queries_total",
			Help: "Statements that took ASHLAR_SLOW_QUERY or longer.",
		}),
	}
}

// pool registers the metrics of the pool.
func (o *observer) pool(d *Database) {
	if o == nil || o.Metrics == nil {
		return
	}
	o.Metrics.MustRegister(o.slow, d.connections.waited, d.connections.denied, collectors.NewDBStatsCollector(d.DB, d.Dialect))
}

// perStatement says whether statements are looked at one by one.
func (o *observer) perStatement() bool {
	return o != nil && (o.Log != nil || o.Traces || o.Statement != nil)
}

// statement is one that is being executed.
type statement struct {
	observer *observer
	text     string
	began    time.Time
	span     trace.Span // nil: none
}

// begin notes that a statement is sent. args gives the values of its parameters.
func (o *observer) begin(ctx context.Context, text string, args func() []any) (context.Context, statement) {
	if o.Statement != nil {
		o.Statement(text, args())
	}
	s := statement{observer: o, text: text, began: time.Now()}
	if o.Traces {
		if parent := trace.SpanFromContext(ctx); parent.IsRecording() {
			ctx, s.span = parent.TracerProvider().Tracer(tracer).Start(ctx, operation(text), trace.WithSpanKind(trace.SpanKindClient)) //nolint:spancheck // end ends it
			s.span.SetAttributes(attribute.String("db.query.text", printable(text)))
		}
	}
	return ctx, s
}

// end notes that it was executed, or failed, and its rows are read.
func (s statement) end(ctx context.Context, err error) {
	if s.span != nil {
		if err != nil {
			// Without the error, which can have values.
			s.span.SetStatus(codes.Error, "failed")
		}
		s.span.End()
	}
	o := s.observer
	if o.SlowQuery == 0 {
		return
	}
	took := time.Since(s.began)
	if took < o.SlowQuery {
		return
	}
	o.slow.Inc()
	if !o.lines.Allow() {
		o.unsaid.Add(1)
		return
	}
	attributes := []any{"duration", took.Round(time.Microsecond), "statement", printable(s.text), "failed", err != nil}
	if n := o.unsaid.Swap(0); n > 0 {
		attributes = append(attributes, "not_logged_before", n)
	}
	o.Log.WarnContext(ctx, "a statement was slow", attributes...)
}
