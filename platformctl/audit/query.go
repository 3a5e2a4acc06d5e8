package audit

import (
	"context"
	"fmt"
	"time"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// pageSize is what the service allows.
const pageSize = 200

// maxQuery bounds what is held in memory to be shown.
const maxQuery = 10_000

// Query is the command that shows events.
type Query struct {
	client.Flags
	output.Flag
	filter

	Since       string `help:"From this time on (RFC 3339), or so long ago." placeholder:"TIME"`
	Until       string `help:"Before this time." placeholder:"TIME"`
	Limit       int    `help:"How many events at most, up to 10000." default:"50" placeholder:"N"`
	OldestFirst bool   `help:"In the order in which they were recorded; the newest first otherwise."`
}

// Help implements kong.HelpProvider.
func (*Query) Help() string {
	return `What was refused in the last hour:

  platformctl audit query --outcome denied --since 1h`
}

// Run implements the command.
func (q *Query) Run(ctx context.Context, streams *output.Streams) error {
	if q.Limit < 1 || q.Limit > maxQuery {
		return exit.With(exit.Usage, fmt.Errorf("--limit %d: write a number from 1 to %d", q.Limit, maxQuery))
	}
	connection, err := q.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	req, err := q.request(connection)
	if err != nil {
		return err
	}
	service := auditv1connect.NewAuditServiceClient(connection.Client())
	var found []*auditv1.Event
	for {
		req.PageSize = int32(min(pageSize, q.Limit-len(found)))
		res, err := service.QueryEvents(ctx, req)
		if err != nil {
			return err
		}
		found = append(found, res.GetEvents()...)
		req.PageToken = res.GetNextPageToken()
		if req.GetPageToken() == "" || len(found) >= q.Limit {
			break
		}
	}
	if req.GetPageToken() != "" && q.Output == "table" {
		fmt.Fprintf(streams.Err, "There are more than these %d; --limit shows more.\n", len(found))
	}
	return q.Show(streams.Out, list{Events: output.Messages(found), events: found})
}

func (q *Query) request(c *client.Connection) (*auditv1.QueryEventsRequest, error) {
	organization, err := q.organization(c)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	since, err := moment("since", q.Since, now)
	if err != nil {
		return nil, err
	}
	until, err := moment("until", q.Until, now)
	if err != nil {
		return nil, err
	}
	return &auditv1.QueryEventsRequest{
		OrganizationId: organization, ActorId: q.Actor, Action: q.Action, Resource: q.Resource, Outcome: q.outcome(),
		Since: since, Until: until, OldestFirst: q.OldestFirst,
	}, nil
}
