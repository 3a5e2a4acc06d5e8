package audit

import (
	"strconv"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platformctl/output"
)

var columns = output.Columns[*auditv1.Event]{
	Header: []string{"TIME", "ACTION", "OUTCOME", "ACTOR", "ORGANIZATION", "RESOURCE", "SERVICE", "PLACE"},
	Row:    row,
}

func row(e *auditv1.Event) []string {
	outcome := "done"
	if e.GetOutcome() == auditv1.Outcome_OUTCOME_DENIED {
		outcome = "denied"
		if e.GetReason() != "" {
			outcome += ": " + e.GetReason()
		}
	}
	actor := e.GetActor().GetId()
	if e.GetActor().GetKind() == auditv1.ActorKind_ACTOR_KIND_ANONYMOUS {
		actor = "anonymous"
	}
	place := ""
	if e.LeafIndex != nil {
		place = strconv.FormatInt(e.GetLeafIndex(), 10)
	}
	return []string{
		output.Time(e.GetOccurredAt()), e.GetAction(), outcome, actor, e.GetOrganizationId(), e.GetResource(), e.GetService(), place,
	}
}
