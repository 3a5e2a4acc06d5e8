package auditlog

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
)

const (
	// leafType begins each leaf, so that a leaf cannot be taken for anything else that is hashed.
	leafType = "ashlar.audit.v1.Event"
	// attributePrefix begins the name of an attribute. No field's name begins with it.
	attributePrefix = "attributes."
	// timeFormat has the precision that the audit service keeps.
	timeFormat = "2006-01-02T15:04:05.000000Z"
)

// Leaf returns the leaf of an event, in the encoding that the schema of ashlar.audit.v1.Event describes. No two different
// events have the same leaf, apart from fractions of microseconds and from leaf_index, which is no part of it.
func Leaf(e *auditv1.Event) []byte {
	leaf := appendText(make([]byte, 0, 512), leafType)
	for _, field := range [...]struct{ name, value string }{
		{"id", e.GetId()},
		{"occurred_at", moment(e)},
		{"service", e.GetService()},
		{"procedure", e.GetProcedure()},
		{"action", e.GetAction()},
		{"actor.kind", actorKind(e.GetActor())},
		{"actor.id", e.GetActor().GetId()},
		{"actor.session_id", e.GetActor().GetSessionId()},
		{"organization_id", e.GetOrganizationId()},
		{"resource", e.GetResource()},
		{"outcome", outcome(e)},
		{"reason", e.GetReason()},
		{"trace_id", e.GetTraceId()},
	} {
		if field.value != "" {
			leaf = appendText(appendText(leaf, field.name), field.value)
		}
	}
	attributes := e.GetAttributes()
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		leaf = appendText(appendText(leaf, attributePrefix+key), attributes[key])
	}
	return leaf
}

// LeafHash returns the hash of an event's leaf (RFC 6962, section 2.1).
func LeafHash(e *auditv1.Event) tlog.Hash { return tlog.RecordHash(Leaf(e)) }

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

func moment(e *auditv1.Event) string {
	if e.GetOccurredAt() == nil {
		return ""
	}
	return e.GetOccurredAt().AsTime().Truncate(time.Microsecond).Format(timeFormat)
}

// actorKind and outcome give the names that JSON has, too; the zero of an enum is a field that is not set.
func actorKind(a *auditv1.Actor) string {
	if a.GetKind() == auditv1.ActorKind_ACTOR_KIND_UNSPECIFIED {
		return ""
	}
	return a.GetKind().String()
}

func outcome(e *auditv1.Event) string {
	if e.GetOutcome() == auditv1.Outcome_OUTCOME_UNSPECIFIED {
		return ""
	}
	return e.GetOutcome().String()
}
