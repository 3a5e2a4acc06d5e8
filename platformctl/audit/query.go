package audit

import (
	"context"
	"time"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// Query is the command that shows events.
type Query struct {
	client.Flags
	client.PageFlags
	output.Flag
	filter

	Since       string `help:"What occurred from this time on (RFC 3339), or so long ago." placeholder:"TIME"`
	Until       string `help:"What occurred before this time." placeholder:"TIME"`
	OldestFirst bool   `help:"In the order in which they were recorded, or occurred where a time is given; the newest first otherwise."`
}

// Help implements kong.HelpProvider.
func (*Query) Help() string {
	return `What was refused in the last hour:

  platformctl audit query --everywhere --outcome denied --since 1h`
}

// Run implements the command.
func (q *Query) Run(ctx context.Context, streams *output.Streams) error {
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
	found, err := client.Pages(q.PageFlags, streams.Err, func(size int32, token string) ([]*auditv1.Event, string, error) {
		req.PageSize, req.PageToken = size, token
		res, err := call(ctx, func(ctx context.Context) (*auditv1.QueryEventsResponse, error) { return service.QueryEvents(ctx, req) })
		return res.GetEvents(), res.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return q.Show(streams.Out, columns.List(found, "There are no such events."))
}

func (q *Query) request(c *client.Connection) (*auditv1.QueryEventsRequest, error) {
	organization, err := q.Where(c)
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
