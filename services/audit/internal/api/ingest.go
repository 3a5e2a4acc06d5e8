package api

import (
	"context"
	"fmt"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
)

// Ingest implements ashlar.audit.v1.IngestService.
type Ingest struct{ store *store.Store }

// NewIngest returns the handler over a store.
func NewIngest(s *store.Store) *Ingest { return &Ingest{s} }

// AppendEvents implements ashlar.audit.v1.IngestService.
func (h *Ingest) AppendEvents(ctx context.Context, req *auditv1.AppendEventsRequest) (*auditv1.AppendEventsResponse, error) {
	caller := authn.FromContext(ctx).ServiceName
	rows := make([]*ent.Event, len(req.GetEvents()))
	for i, event := range req.GetEvents() {
		// One service that was broken into must not write what another did.
		if event.GetService() != caller {
			return nil, foreignEvent(caller, event.GetService())
		}
		if err := checkTime(fmt.Sprintf("events[%d].occurred_at", i), event.GetOccurredAt()); err != nil {
			return nil, err
		}
		rows[i] = eventRow(event)
	}
	if err := h.store.Append(ctx, rows); err != nil {
		return nil, translate(err)
	}
	return &auditv1.AppendEventsResponse{}, nil
}
