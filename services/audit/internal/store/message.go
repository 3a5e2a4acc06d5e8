package store

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/services/audit/ent"
)

// Message returns an event as it is shown, and as its leaf is made from it.
func Message(e *ent.Event) *auditv1.Event {
	return &auditv1.Event{
		Id: e.EventID, OccurredAt: timestamppb.New(e.OccurredAt), Service: e.Service, Procedure: e.Procedure, Action: e.Action,
		Actor:          &auditv1.Actor{Kind: auditv1.ActorKind(e.ActorKind), Id: e.ActorID, SessionId: e.SessionID},
		OrganizationId: e.OrganizationID, Resource: e.Resource, Outcome: auditv1.Outcome(e.Outcome), Reason: e.Reason,
		TraceId: e.TraceID, Attributes: e.Attributes, LeafIndex: &e.LeafIndex,
	}
}
