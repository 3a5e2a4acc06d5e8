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
	filter, span := filterOf(req), store.Span{Since: moment(req.GetSince()), Until: moment(req.GetUntil())}
	list := []string{
		"events", filter.OrganizationID, filter.ActorID, filter.Action, filter.Resource, req.GetOutcome().String(),
		named(span.Since), named(span.Until),
	}
	if req.GetOldestFirst() {
		// Tokens from before there was an order have none.
		list = append(list, "oldest first")
	}
	keysOf, keys := sequenceKey, 1
	if span != (store.Span{}) {
		// Tokens from before spans had an order of their own have one key, and are refused.
		keysOf, keys = momentKeys, 2
	}
	after, err := page.Parse(req.GetPageToken(), keys, list...)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	found, err := h.read(ctx, filter, span, req.GetOldestFirst(), after, size+1)
	if err != nil {
		return nil, err
	}
	res := &auditv1.QueryEventsResponse{Events: messages(found, size)}
	if n := len(res.GetEvents()); n < len(found) {
		res.NextPageToken = page.Token(keysOf(found[n-1]), list...)
	}
	return res, nil
}

// read returns the events after that of which a token has the keys; nil: from the beginning.
func (h *Events) read(ctx context.Context, filter store.Filter, span store.Span, oldestFirst bool, keys []string, limit int) ([]*ent.Event, error) {
	if span != (store.Span{}) {
		after, err := parseMoment(keys)
		if err != nil {
			return nil, err
		}
		return h.store.EventsWithin(ctx, filter, span, oldestFirst, after, limit)
	}
	last := int64(0)
	if keys != nil {
		var err error
		if last, err = sequence("page_token", keys[0]); err != nil {
			return nil, err
		}
	}
	if oldestFirst {
		return h.store.EventsAfter(ctx, filter, last, 0, limit)
	}
	return h.store.Events(ctx, filter, last, limit)
}

func filterOf(req *auditv1.QueryEventsRequest) store.Filter {
	return store.Filter{
		OrganizationID: req.GetOrganizationId(), ActorID: req.GetActorId(), Action: req.GetAction(), Resource: req.GetResource(),
		Outcome: int32(req.GetOutcome()),
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

func sequenceKey(e *ent.Event) []string { return []string{strconv.FormatInt(e.ID, 10)} }

func momentKeys(e *ent.Event) []string {
	return append([]string{e.OccurredAt.UTC().Format(time.RFC3339Nano)}, sequenceKey(e)...)
}

// parseMoment reads what momentKeys wrote.
func parseMoment(keys []string) (*store.Moment, error) {
	if keys == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, keys[0])
	if err != nil {
		return nil, invalidPageToken("page_token", err)
	}
	last, err := sequence("page_token", keys[1])
	if err != nil {
		return nil, err
	}
	return &store.Moment{OccurredAt: at, Sequence: last}, nil
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
