package edge

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// traceparentBytes is the length of a traceparent.
const traceparentBytes = 55

// startTrace begins a trace: what strangers say about traces is not trusted. Where no spans are sent anywhere, none is made,
// and the trace is no more than its ids, by which services and logs are joined.
func (c *call) startTrace() {
	if !c.h.Telemetry.Exporting() {
		c.trace = newTrace()
		return
	}
	ctx, span := c.h.tracer.Start(c.r.Context(), c.name(), trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer)) //nolint:spancheck // end ends it
	c.span, c.trace = span, span.SpanContext()
	c.r = c.r.WithContext(ctx)
} //nolint:spancheck // end ends the span

func newTrace() trace.SpanContext {
	var id trace.TraceID
	var span trace.SpanID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())    //nolint:gosec // it tells traces apart and keeps no secret
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64()|1)  //nolint:gosec // as above; zero would be no id
	binary.NativeEndian.PutUint64(span[:], rand.Uint64()|1) //nolint:gosec // as above
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled})
}

// traced is the call's context with its trace in it.
func (c *call) traced() context.Context {
	if c.span != nil {
		return c.r.Context()
	}
	return trace.ContextWithSpanContext(c.r.Context(), c.trace)
}

// appendTraceparent appends what services are told of the trace (W3C Trace Context, section 3.2).
func (c *call) appendTraceparent(out []byte) []byte {
	traceID, spanID := c.trace.TraceID(), c.trace.SpanID()
	out = append(out, "00-"...)
	out = hex.AppendEncode(out, traceID[:])
	out = append(out, '-')
	out = hex.AppendEncode(out, spanID[:])
	if c.trace.IsSampled() {
		return append(out, "-01"...)
	}
	return append(out, "-00"...)
}
