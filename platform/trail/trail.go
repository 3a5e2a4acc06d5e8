// Package trail puts what a service does on the audit record: events go into the service's own outbox, in the
// transaction of the change, and from there to audit, at least once and in order.
package trail

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/ent/mixin"
	"ashlar.dev/ent/outbox"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
)

const (
	// Refusals are recorded too, but a hostile caller must not fill the disk with them: at most so many a second.
	denialsPerSecond = 50
	denialsBurst     = 200
	// denialTimeout bounds the recording of one refusal.
	denialTimeout = 2 * time.Second
	// maxClaimBytes bounds what is kept of an organization id that cannot be one; quoting can make it ten times as long.
	maxClaimBytes = 100
)

// Trail records for one service. It is safe for concurrent use.
type Trail struct {
	service    string
	outbox     *outbox.Outbox
	db         outbox.Execer
	log        *slog.Logger
	denials    *rate.Limiter
	dropped    prometheus.Counter
	unrecorded *prometheus.CounterVec
}

// New returns the trail of a service that keeps its outbox in db.
func New(service string, box *outbox.Outbox, db outbox.Execer, log *slog.Logger, metrics prometheus.Registerer) *Trail {
	t := &Trail{
		service: service, outbox: box, db: db, log: log, denials: rate.NewLimiter(denialsPerSecond, denialsBurst),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_audit_denials_dropped_total", Help: "Refused calls that were not recorded because there were too many.",
		}),
		unrecorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_audit_unrecorded_total", Help: "Changes that a handler made without recording them: bugs.",
		}, []string{"procedure"}),
	}
	metrics.MustRegister(t.dropped, t.unrecorded)
	return t
}

// Append records a change in the transaction that makes it: both happen or neither does.
func (t *Trail) Append(ctx context.Context, tx outbox.Execer, change audit.Change) error {
	if err := t.append(ctx, tx, audit.NewEvent(ctx, change)); err != nil {
		return err
	}
	audit.MarkRecorded(ctx)
	return nil
}

// Denied records that a call was refused for want of a permission. It never fails the call, which is refused anyway.
func (t *Trail) Denied(ctx context.Context, denial access.Denial) {
	e := audit.NewDenial(ctx, denial, rpcerror.ReasonPermissionDenied)
	if !plausible(e.Organization) {
		// The request is refused before it is validated, so this may be anything; the refusal is recorded all the same.
		e.Attributes["organization"] = strconv.QuoteToASCII(clip(e.Organization, maxClaimBytes))
		e.Organization = ""
	}
	t.denied(ctx, e)
}

// Refused records that somebody tried to make a change and was refused, for a reason that the caller was given too: a
// sign-in with a wrong password. It never fails the call, which is refused anyway.
func (t *Trail) Refused(ctx context.Context, change audit.Change, reason string) {
	e := audit.NewEvent(ctx, change)
	e.Outcome, e.Reason = audit.Denied, reason
	t.denied(ctx, e)
}

func (t *Trail) denied(ctx context.Context, e audit.Event) {
	if !t.denials.Allow() {
		t.dropped.Inc()
		return
	}
	// The caller may hang up; what it tried is recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), denialTimeout)
	defer cancel()
	if err := t.append(ctx, t.db, e); err != nil {
		t.log.ErrorContext(ctx, "cannot record a refused call", "procedure", e.Procedure, "action", e.Action, "error", err)
		return
	}
	t.outbox.Wake()
}

// Unrecorded counts a change that was not recorded.
func (t *Trail) Unrecorded(procedure string) { t.unrecorded.WithLabelValues(procedure).Inc() }

func (t *Trail) append(ctx context.Context, tx outbox.Execer, e audit.Event) error {
	event := t.proto(e)
	// What audit would not take must not get into the outbox, where it would hold up all that comes after it.
	if err := protovalidate.Validate(event); err != nil {
		return fmt.Errorf("audit event %s: %w", e.Action, err)
	}
	payload, err := proto.Marshal(event)
	if err != nil {
		return fmt.Errorf("audit event %s: %w", e.Action, err)
	}
	return t.outbox.Append(ctx, tx, e.ID, payload)
}

// plausible tells whether s can be the id of an organization, or is empty.
func plausible(s string) bool {
	return len(s) <= mixin.MaxIDLength && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func clip(s string, n int) string { return s[:min(n, len(s))] }

func (t *Trail) proto(e audit.Event) *auditv1.Event {
	out := &auditv1.Event{
		Id: e.ID, OccurredAt: timestamppb.New(e.OccurredAt), Service: t.service, Procedure: e.Procedure,
		Action: e.Action, Actor: actor(e.Actor), OrganizationId: e.Organization, Resource: e.Resource,
		Outcome: auditv1.Outcome_OUTCOME_SUCCESS, Reason: e.Reason, TraceId: e.TraceID, Attributes: e.Attributes,
	}
	if e.Outcome == audit.Denied {
		out.Outcome = auditv1.Outcome_OUTCOME_DENIED
	}
	return out
}

func actor(p authn.Principal) *auditv1.Actor {
	switch p.Kind {
	case authn.User:
		return &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_USER, Id: p.UserID, SessionId: p.SessionID}
	case authn.Service:
		return &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_SERVICE, Id: p.ServiceName}
	default:
		return &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_ANONYMOUS}
	}
}
