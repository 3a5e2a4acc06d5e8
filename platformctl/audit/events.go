package audit

import (
	"strconv"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platformctl/output"
)

// header is that of a table of events.
var header = []string{"TIME", "ACTION", "OUTCOME", "ACTOR", "ORGANIZATION", "RESOURCE", "SERVICE", "PLACE"}

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

// list is a result of events.
type list struct {
	Events []output.Message `json:"events"`

	events []*auditv1.Event
}

// Table implements output.Tabular.
func (l list) Table() output.Table {
	t := output.Table{Header: header, Empty: "There are no such events."}
	for _, e := range l.events {
		t.Rows = append(t.Rows, row(e))
	}
	return t
}
