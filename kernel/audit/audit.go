// Package audit describes what goes on the record: who did what to what, and was allowed to or not. It knows nothing of
// where the record is kept.
package audit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"go.opentelemetry.io/otel/trace"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
)

// Outcome is how it ended.
type Outcome int

// The outcomes that are recorded.
const (
	Success Outcome = iota + 1
	Denied
)

// Change is what a handler says of a change that it makes.
type Change struct {
	// Action is `resource.verb`, such as `organization.update`.
	Action string
	// Resource is the id of what was changed, Organization the id of the organization that it belongs to, if any.
	Resource, Organization string
	// Actor is set only where it is not the caller: the person who signs up or in.
	Actor *authn.Principal
	// Attributes tell more: at most 32, values of at most 1,024 bytes, no secrets.
	Attributes map[string]string
}

// Event is one entry of the record.
type Event struct {
	Change

	ID         string
	OccurredAt time.Time
	Procedure  string
	Actor      authn.Principal
	Outcome    Outcome
	Reason     string
	TraceID    string
}

// NewEvent completes a change with what the context knows of the call: time, actor, procedure and trace.
func NewEvent(ctx context.Context, change Change) Event {
	e := Event{
		Change: change, ID: id.New(id.Event), OccurredAt: time.Now().UTC(),
		Actor: authn.FromContext(ctx).Actor(), Outcome: Success,
	}
	if change.Actor != nil {
		e.Actor = *change.Actor
	}
	if info, ok := connect.CallInfoForServerContext(ctx); ok {
		e.Procedure = info.Spec.Procedure
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		e.TraceID = span.TraceID().String()
	}
	return e
}

// NewDenial returns the event of a call that was refused.
func NewDenial(ctx context.Context, denial access.Denial, reason string) Event {
	e := NewEvent(ctx, Change{
		Action: "access.deny", Organization: denial.Organization, Attributes: map[string]string{"permission": denial.Permission},
	})
	e.Outcome, e.Reason = Denied, reason
	return e
}

type scopeKey struct{}

type scope struct{ recorded atomic.Bool }

// MarkRecorded notes that the call that ctx belongs to has put a change on the record, or found that there was nothing
// to change.
func MarkRecorded(ctx context.Context) {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		s.recorded.Store(true)
	}
}

// Require returns an interceptor that reports to missing every call that may change something (it is not free of side
// effects, and not another service's), that succeeded, and that put nothing on the record: a bug in the handler.
func Require(rules *access.Rules, log *slog.Logger, missing func(procedure string)) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			kind := rules.Of(spec.Procedure).Kind
			if spec.IdempotencyLevel == connect.IdempotencyNoSideEffects || spec.StreamType != connect.StreamTypeUnary || kind == access.Internal {
				return next(ctx, spec, stream)
			}
			s := &scope{}
			err := next(context.WithValue(ctx, scopeKey{}, s), spec, stream)
			if err == nil && !s.recorded.Load() {
				log.ErrorContext(ctx, "a change was not put on the audit record", "procedure", spec.Procedure)
				missing(spec.Procedure)
			}
			return err
		}
	}
}
