package api

import (
	"context"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/gen/go/permissions/auditperms"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/audit/internal/store"
)

const (
	// heartbeat is how long a stream is silent at most, and how late, at most, one ends whose caller may not read events
	// any more.
	heartbeat = 10 * time.Second
	// tailBatch is how many events a stream holds at most: it reads the next ones when the caller has taken those.
	tailBatch = 100
	// maxTails bounds the streams of one instance.
	maxTails = 1000
)

// TailEvents implements ashlar.audit.v1.AuditService. It goes by the sequence of events: whoever sees one sees all that have
// a lower one, so none is missed and none comes twice.
func (h *Events) TailEvents(ctx context.Context, req *auditv1.TailEventsRequest, stream auditv1connect.AuditServiceTailEventsServerStream) error {
	select {
	case h.tails <- struct{}{}:
		defer func() { <-h.tails }()
	default:
		return tooManyTails()
	}
	t := &tail{store: h.store, decider: h.decider, stream: stream, heartbeat: h.heartbeat, filter: store.Filter{
		OrganizationID: req.GetOrganizationId(), ActorID: req.GetActorId(), Action: req.GetAction(), Resource: req.GetResource(),
		Outcome: int32(req.GetOutcome()),
	}}
	t.list = []string{"tail", t.filter.OrganizationID, t.filter.ActorID, t.filter.Action, t.filter.Resource, req.GetOutcome().String()}
	var err error
	if t.after, err = h.start(ctx, req, t.list); err != nil {
		return err
	}
	return t.run(ctx)
}

// start returns the sequence after which a stream begins.
func (h *Events) start(ctx context.Context, req *auditv1.TailEventsRequest, list []string) (int64, error) {
	switch start := req.GetStart().(type) {
	case *auditv1.TailEventsRequest_ResumeToken:
		keys, err := page.Parse(start.ResumeToken, 1, list...)
		if err != nil {
			return 0, invalidPageToken("resume_token", err)
		}
		return sequence("resume_token", keys[0])
	case *auditv1.TailEventsRequest_FromLeafIndex:
		after, there, err := h.store.SequenceBefore(ctx, start.FromLeafIndex)
		if err != nil || there {
			return after, err
		}
		_, at, err := h.store.Checkpoint(ctx)
		if err != nil {
			return 0, translate(err)
		}
		return 0, beyondLog("from_leaf_index", at.Size)
	default:
		return h.store.LastSequence(ctx)
	}
}

// tail is one stream.
type tail struct {
	store     *store.Store
	decider   access.Decider
	stream    auditv1connect.AuditServiceTailEventsServerStream
	heartbeat time.Duration
	filter    store.Filter
	list      []string
	after     int64
	// sent says that something was sent in this round.
	sent bool
}

func (t *tail) run(ctx context.Context) error {
	due := time.NewTimer(t.heartbeat)
	defer due.Stop()
	for beat := true; ; {
		grown := t.store.Grown() // before it is looked, so that nothing comes in between
		t.sent = false
		if err := t.catchUp(ctx); err != nil {
			return err
		}
		if beat {
			if err := t.checkAccess(ctx); err != nil {
				return err
			}
			if err := t.send(nil); err != nil {
				return err
			}
		}
		if t.sent {
			due.Reset(t.heartbeat)
		}
		select {
		case <-grown:
			beat = false
		case <-due.C:
			beat = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp sends all events that are there.
func (t *tail) catchUp(ctx context.Context) error {
	through, err := t.store.LastSequence(ctx)
	if err != nil {
		return err
	}
	for t.after < through {
		found, err := t.store.EventsAfter(ctx, t.filter, t.after, through, tailBatch)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			// The access rule was asked when the stream began, which may be long ago.
			if err := t.checkAccess(ctx); err != nil {
				return err
			}
		}
		for _, e := range found {
			t.after = e.ID
			if err := t.send(store.Message(e)); err != nil {
				return err
			}
		}
		if len(found) < tailBatch {
			t.after = through
		}
	}
	return nil
}

// checkAccess ends the stream where the caller may not read its events any more, or nobody can tell.
func (t *tail) checkAccess(ctx context.Context) error {
	may, err := t.decider.Decide(ctx, authn.FromContext(ctx).UserID, string(auditperms.EventRead), t.filter.OrganizationID)
	switch {
	case err != nil:
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonPolicyUnavailable,
			"it cannot be decided at the moment what you may see: try again", rpcerror.Cause(err))
	case !may:
		return rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied,
			"you may not read these events any more", rpcerror.Meta("permission", string(auditperms.EventRead)))
	default:
		return nil
	}
}

func (t *tail) send(event *auditv1.Event) error {
	t.sent = true
	return t.stream.Send(&auditv1.TailEventsResponse{
		Event: event, ResumeToken: page.Token([]string{strconv.FormatInt(t.after, 10)}, t.list...),
	})
}
