package api

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
)

// maxAnswerBytes bounds the events of one answer, in binary. As JSON a character can take six times as much (`\u0001`),
// and all of it must stay within rpc.MaxMessageBytes, which is what callers accept.
const maxAnswerBytes = 512 << 10

// Events implements ashlar.audit.v1.AuditService.
type Events struct {
	store *store.Store
	tails chan struct{} // holds one token per stream that is open
	// decider is asked again while a stream is open; before that, the access rule has asked it.
	decider access.Decider
	// heartbeat is how long a stream is silent at most.
	heartbeat time.Duration
}

// NewEvents returns the handler over a store.
func NewEvents(s *store.Store, decider access.Decider) *Events {
	return &Events{store: s, decider: decider, tails: make(chan struct{}, maxTails), heartbeat: heartbeat}
}

// QueryEvents implements ashlar.audit.v1.AuditService. The access rule has made sure that a caller who names no
// organization may read all.
func (h *Events) QueryEvents(ctx context.Context, req *auditv1.QueryEventsRequest) (*auditv1.QueryEventsResponse, error) {
	if err := checkTime("since", req.GetSince()); err != nil {
		return nil, err
	}
	if err := checkTime("until", req.GetUntil()); err != nil {
		return nil, err
	}
	filter := filterOf(req)
	list := []string{
		"events", filter.OrganizationID, filter.ActorID, filter.Action, filter.Resource, req.GetOutcome().String(),
		named(filter.Since), named(filter.Until),
	}
	read := h.store.Events
	if req.GetOldestFirst() {
		// Tokens from before there was an order have none.
		list = append(list, "oldest first")
		read = h.readForward
	}
	last, err := begin(req, list)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	found, err := read(ctx, filter, last, size+1)
	if err != nil {
		return nil, err
	}
	res := &auditv1.QueryEventsResponse{Events: messages(found, size)}
	if n := len(res.GetEvents()); n < len(found) {
		res.NextPageToken = page.Token([]string{strconv.FormatInt(found[n-1].ID, 10)}, list...)
	}
	return res, nil
}

func (h *Events) readForward(ctx context.Context, filter store.Filter, after int64, limit int) ([]*ent.Event, error) {
	return h.store.EventsAfter(ctx, filter, after, 0, limit)
}

func filterOf(req *auditv1.QueryEventsRequest) store.Filter {
	return store.Filter{
		OrganizationID: req.GetOrganizationId(), ActorID: req.GetActorId(), Action: req.GetAction(), Resource: req.GetResource(),
		Outcome: int32(req.GetOutcome()), Since: moment(req.GetSince()), Until: moment(req.GetUntil()),
	}
}

func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// named is a time as a part of what a page token is good for; empty where there is none.
func named(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// begin returns the sequence of the last event of the page before; 0 on the first page.
func begin(req page.Request, list []string) (int64, error) {
	keys, err := page.Parse(req.GetPageToken(), 1, list...)
	if err != nil || keys == nil {
		return 0, err
	}
	return sequence("page_token", keys[0])
}

// sequence reads what a token holds.
func sequence(field, key string) (int64, error) {
	n, err := strconv.ParseInt(key, 10, 64)
	if err != nil || n < 0 {
		return 0, invalidPageToken(field, err)
	}
	return n, nil
}

// messages returns as many of the first size events as fit into an answer, and at least one.
func messages(found []*ent.Event, size int) []*auditv1.Event {
	var out []*auditv1.Event
	total := 0
	for _, e := range found[:min(size, len(found))] {
		message := store.Message(e)
		total += proto.Size(message)
		if len(out) > 0 && total > maxAnswerBytes {
			break
		}
		out = append(out, message)
	}
	return out
}
