package api

import (
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/services/audit/ent"
)

func eventRow(m *auditv1.Event) *ent.Event {
	return &ent.Event{
		EventID: m.GetId(), OccurredAt: m.GetOccurredAt().AsTime(), Service: m.GetService(), Procedure: m.GetProcedure(),
		Action: m.GetAction(), ActorKind: int32(m.GetActor().GetKind()), ActorID: m.GetActor().GetId(),
		SessionID: m.GetActor().GetSessionId(), OrganizationID: m.GetOrganizationId(), Resource: m.GetResource(),
		Outcome: int32(m.GetOutcome()), Reason: m.GetReason(), TraceID: m.GetTraceId(), Attributes: m.GetAttributes(),
	}
}
