package ashlartest

import (
	"context"
	"testing"
	"time"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
)

// lookEvery is the time between two looks at the audit record, which tells nobody that it has grown.
const lookEvery = 5 * time.Millisecond

// AwaitEvent waits until an event that satisfies ok is on the audit record, and returns it. It looks at the newest 200.
func (p *Platform) AwaitEvent(t testing.TB, ok func(*auditv1.Event) bool) *auditv1.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	record := auditv1connect.NewAuditServiceClient(p.direct("audit", p.Administrator(t).Token))
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var last []*auditv1.Event
	for {
		res, err := record.QueryEvents(ctx, &auditv1.QueryEventsRequest{PageSize: 200})
		if err == nil {
			last = res.GetEvents()
		} else if ctx.Err() == nil {
			t.Fatalf("look at the audit record: %v", err)
		}
		for _, event := range last {
			if ok(event) {
				return event
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the event is not on the audit record after %s; there are: %v", patience, last)
		}
	}
}

// Action tells events by their action.
func Action(action string) func(*auditv1.Event) bool {
	return func(e *auditv1.Event) bool { return e.GetAction() == action }
}
