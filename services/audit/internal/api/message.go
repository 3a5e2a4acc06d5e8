package api

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/services/audit/ent"
)

func eventMessage(e *ent.Event) *auditv1.Event {
	return &auditv1.Event{
		Id: e.EventID, OccurredAt: timestamppb.New(e.OccurredAt), Service: e.Service, Procedure: e.Procedure, Action: e.Action,
		Actor:          &auditv1.Actor{Kind: auditv1.ActorKind(e.ActorKind), Id: e.ActorID, SessionId: e.SessionID},
		OrganizationId: e.OrganizationID, Resource: e.Resource, Outcome: auditv1.Outcome(e.Outcome), Reason: e.Reason,
		TraceId: e.TraceID, Attributes: e.Attributes,
	}
}

func eventRow(m *auditv1.Event) *ent.Event {
	return &ent.Event{
		EventID: m.GetId(), OccurredAt: m.GetOccurredAt().AsTime(), Service: m.GetService(), Procedure: m.GetProcedure(),
		Action: m.GetAction(), ActorKind: int32(m.GetActor().GetKind()), ActorID: m.GetActor().GetId(),
		SessionID: m.GetActor().GetSessionId(), OrganizationID: m.GetOrganizationId(), Resource: m.GetResource(),
		Outcome: int32(m.GetOutcome()), Reason: m.GetReason(), TraceID: m.GetTraceId(), Attributes: m.GetAttributes(),
	}
}
