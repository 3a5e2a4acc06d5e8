package audit

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
)

// filter says which events are wanted.
type filter struct {
	client.WhereFlags

	Actor    string `help:"Only what this user or service did." placeholder:"ID"`
	Action   string `help:"Only this action, like organization.update." placeholder:"ACTION"`
	Resource string `help:"Only what was done to this." placeholder:"ID"`
	Outcome  string `enum:",success,denied" default:"" help:"Only what was done (success), or only what was refused (denied)." placeholder:"OUTCOME"`
}

func (f filter) outcome() auditv1.Outcome {
	switch f.Outcome {
	case "success":
		return auditv1.Outcome_OUTCOME_SUCCESS
	case "denied":
		return auditv1.Outcome_OUTCOME_DENIED
	default:
		return auditv1.Outcome_OUTCOME_UNSPECIFIED
	}
}

// moment reads a time (RFC 3339), or how long ago it was, like 90m; nil where text is empty.
func moment(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(now.Add(-ago)), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("--%s %q: write a time like 2026-03-01T12:00:00Z, or how long ago like 90m", flag, text))
	}
	return timestamppb.New(at), nil
}
