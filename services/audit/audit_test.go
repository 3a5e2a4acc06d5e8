package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/gen/go/permissions/auditperms"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/services/audit"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// permission is what reading needs.
const permission = string(auditperms.EventRead)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// start runs audit in a world where usr_root may read everywhere.
func start(t *testing.T, database config.Secret) *servicetest.World {
	t.Helper()
	w := servicetest.New(t)
	w.Start(audit.Module(audit.Config{}), database)
	w.Allow("usr_root", permission, "")
	return w
}

func as(w *servicetest.World, userID string) auditv1connect.AuditServiceClient {
	return auditv1connect.NewAuditServiceClient(w.As(userID, "audit"))
}

// ingest is how notes delivers its events.
func ingest(w *servicetest.World) auditv1connect.IngestServiceClient {
	return auditv1connect.NewIngestServiceClient(w.AsService("notes", "audit"))
}

func event(i int, change ...func(*auditv1.Event)) *auditv1.Event {
	e := &auditv1.Event{
		Id: fmt.Sprintf("evt_%04d", i), OccurredAt: timestamppb.New(noon.Add(time.Duration(i) * time.Minute)), Service: "notes",
		Procedure: "/acme.notes.v1.NoteService/CreateNote", Action: "note.create",
		Actor:          &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_USER, Id: "usr_ann", SessionId: "ses_1"},
		OrganizationId: "org_a", Resource: "note_1", Outcome: auditv1.Outcome_OUTCOME_SUCCESS, TraceId: strings.Repeat("0f", 16),
		Attributes: map[string]string{"title": "one"},
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func appendEvents(t *testing.T, w *servicetest.World, events ...*auditv1.Event) {
	t.Helper()
	_, err := ingest(w).AppendEvents(context.Background(), &auditv1.AppendEventsRequest{Events: events})
	require.NoError(t, err)
}

// query returns all pages.
func query(t *testing.T, client auditv1connect.AuditServiceClient, req *auditv1.QueryEventsRequest) (events []*auditv1.Event, pages int) {
	t.Helper()
	req = proto.CloneOf(req)
	for {
		res, err := client.QueryEvents(context.Background(), req)
		require.NoError(t, err)
		events, pages = append(events, res.GetEvents()...), pages+1
		if res.GetNextPageToken() == "" {
			return events, pages
		}
		req.PageToken = res.GetNextPageToken()
		require.NotEmpty(t, res.GetEvents())
	}
}

func ids(events []*auditv1.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.GetId()
	}
	return out
}

func TestWhatIsAppendedIsFound(t *testing.T) { dbtest.EachURL(t, found) }

func found(t *testing.T, database config.Secret) {
	w := start(t, database)
	first, second := event(1), event(2, func(e *auditv1.Event) {
		e.Outcome, e.Reason, e.OrganizationId = auditv1.Outcome_OUTCOME_DENIED, "PERMISSION_DENIED", "org_b"
		e.Actor = &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_ANONYMOUS}
	})
	appendEvents(t, w, first, second)
	appendEvents(t, w, event(1, func(e *auditv1.Event) { e.Action = "note.forge" }), event(3))

	root := as(w, "usr_root")
	all, _ := query(t, root, &auditv1.QueryEventsRequest{})
	require.Len(t, all, 3)
	for i, want := range []*auditv1.Event{event(3), second, first} {
		want.LeafIndex = new(int64(2 - i))
		require.True(t, proto.Equal(want, all[i]), "%s", all[i])
	}
	for name, test := range map[string]struct {
		req  *auditv1.QueryEventsRequest
		want []string
	}{
		"organization": {&auditv1.QueryEventsRequest{OrganizationId: "org_b"}, []string{"evt_0002"}},
		"actor":        {&auditv1.QueryEventsRequest{ActorId: "usr_ann"}, []string{"evt_0003", "evt_0001"}},
		"action":       {&auditv1.QueryEventsRequest{Action: "note.forge"}, []string{}},
		"resource":     {&auditv1.QueryEventsRequest{Resource: "note_1"}, []string{"evt_0003", "evt_0002", "evt_0001"}},
		"outcome":      {&auditv1.QueryEventsRequest{Outcome: auditv1.Outcome_OUTCOME_DENIED}, []string{"evt_0002"}},
		"since":        {&auditv1.QueryEventsRequest{Since: event(2).GetOccurredAt()}, []string{"evt_0003", "evt_0002"}},
		"until":        {&auditv1.QueryEventsRequest{Until: event(2).GetOccurredAt()}, []string{"evt_0001"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := query(t, root, test.req)
			require.Equal(t, test.want, ids(got))
		})
	}
}

func TestPages(t *testing.T) { dbtest.EachURL(t, pages) }

func pages(t *testing.T, database config.Secret) {
	w := start(t, database)
	var want []string
	for i := range 120 {
		appendEvents(t, w, event(i))
		want = append(want, event(i).GetId())
	}
	slices.Reverse(want)
	root := as(w, "usr_root")
	for size, pages := range map[int32]int{0: 3, 1: 120, 50: 3, 60: 2, 119: 2, 120: 1, 200: 1} {
		got, n := query(t, root, &auditv1.QueryEventsRequest{PageSize: size, ActorId: "usr_ann"})
		require.Equal(t, want, ids(got), "pages of %d", size)
		require.Equal(t, pages, n, "pages of %d", size)
	}

	res, err := root.QueryEvents(t.Context(), &auditv1.QueryEventsRequest{PageSize: 1})
	require.NoError(t, err)
	token := res.GetNextPageToken()
	for name, req := range map[string]*auditv1.QueryEventsRequest{
		"another organization": {PageToken: token, OrganizationId: "org_a"},
		"another actor":        {PageToken: token, ActorId: "usr_ann"},
		"another action":       {PageToken: token, Action: "note.create"},
		"another resource":     {PageToken: token, Resource: "note_1"},
		"another outcome":      {PageToken: token, Outcome: auditv1.Outcome_OUTCOME_SUCCESS},
		"another beginning":    {PageToken: token, Since: timestamppb.New(noon)},
		"another end":          {PageToken: token, Until: timestamppb.New(noon)},
		"made up":              {PageToken: "eyJhIjpbIngiXX0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := root.QueryEvents(t.Context(), req)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
			require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err))
		})
	}
	_, err = root.QueryEvents(t.Context(), &auditv1.QueryEventsRequest{PageToken: token, PageSize: 7})
	require.NoError(t, err, "the size of the page may change")
}

// Of a span of time the order is that of occurrence: an event that was held up on its way is where it belongs.
func TestPagesOfASpan(t *testing.T) { dbtest.EachURL(t, spanPages) }

func spanPages(t *testing.T, database config.Secret) {
	w := start(t, database)
	var want []string
	for i := range 20 {
		want = append(want, event(i).GetId())
		appendEvents(t, w, event(i*7%20)) // each once
	}
	root := as(w, "usr_root")
	span := func(size int32, oldestFirst bool) *auditv1.QueryEventsRequest {
		return &auditv1.QueryEventsRequest{
			ActorId: "usr_ann", Since: event(2).GetOccurredAt(), Until: event(18).GetOccurredAt(), OldestFirst: oldestFirst, PageSize: size,
		}
	}
	got, n := query(t, root, span(5, true))
	require.Equal(t, want[2:18], ids(got))
	require.Equal(t, 4, n)
	got, _ = query(t, root, span(5, false))
	slices.Reverse(got)
	require.Equal(t, want[2:18], ids(got))

	res, err := root.QueryEvents(t.Context(), span(5, false))
	require.NoError(t, err)
	appendEvents(t, w, event(30, func(e *auditv1.Event) { e.OccurredAt = event(4).GetOccurredAt() }))
	rest := span(200, false)
	rest.PageToken = res.GetNextPageToken()
	late, err := root.QueryEvents(t.Context(), rest)
	require.NoError(t, err)
	require.Contains(t, ids(late.GetEvents()), "evt_0030", "what arrives late is on the page of its time")

	made := func(keys ...string) string {
		req := span(5, false)
		return page.Token(keys, "events", "", req.GetActorId(), "", "", req.GetOutcome().String(),
			req.GetSince().AsTime().Format(time.RFC3339Nano), req.GetUntil().AsTime().Format(time.RFC3339Nano))
	}
	for name, token := range map[string]string{
		"from before spans had an order": made("7"),
		"of the other order":             nextPage(t, root, span(5, true)),
		"of no span":                     nextPage(t, root, &auditv1.QueryEventsRequest{ActorId: "usr_ann", PageSize: 5}),
		"no time":                        made("yesterday", "7"),
		"no sequence":                    made(noon.Format(time.RFC3339Nano), "-7"),
	} {
		req := span(5, false)
		req.PageToken = token
		_, err := root.QueryEvents(t.Context(), req)
		require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err), name)
	}
	req := span(5, false)
	req.PageToken = made(noon.Format(time.RFC3339Nano), "7")
	_, err = root.QueryEvents(t.Context(), req)
	require.NoError(t, err, "what is made up here is made as the service makes it")
}

func nextPage(t *testing.T, client auditv1connect.AuditServiceClient, req *auditv1.QueryEventsRequest) string {
	t.Helper()
	res, err := client.QueryEvents(t.Context(), req)
	require.NoError(t, err)
	require.NotEmpty(t, res.GetNextPageToken())
	return res.GetNextPageToken()
}

// The largest events there can be: a page of them is cut so that it fits into a message, also as JSON.
func TestPagesFitIntoAMessage(t *testing.T) { dbtest.EachURL(t, largePages) }

func largePages(t *testing.T, database config.Secret) {
	w := start(t, database)
	for name, value := range map[string]string{"as text": strings.Repeat("x", 1024), "escaped": strings.Repeat("\x01", 1024), "wide": strings.Repeat("𝄞", 1024)} {
		t.Run(name, func(t *testing.T) {
			organization := "org_" + name
			var want []string
			for i := range 40 {
				large := event(i, func(e *auditv1.Event) {
					e.Id, e.OrganizationId = fmt.Sprintf("evt_%s_%04d", name, i), organization
					e.Attributes = map[string]string{}
					for k := range 32 {
						e.Attributes[fmt.Sprintf("attribute-%02d", k)] = value
					}
				})
				appendEvents(t, w, large)
				want = append(want, large.GetId())
			}
			slices.Reverse(want)
			var got []string
			root, req := as(w, "usr_root"), &auditv1.QueryEventsRequest{OrganizationId: organization, PageSize: 200}
			for {
				res, err := root.QueryEvents(t.Context(), req)
				require.NoError(t, err)
				require.NotEmpty(t, res.GetEvents())
				require.Less(t, proto.Size(res), rpc.MaxMessageBytes)
				text, err := protojson.Marshal(res)
				require.NoError(t, err)
				require.Less(t, len(text), rpc.MaxMessageBytes)
				got = append(got, ids(res.GetEvents())...)
				if res.GetNextPageToken() == "" {
					break
				}
				req.PageToken = res.GetNextPageToken()
			}
			require.Equal(t, want, got)
		})
	}
}

func TestReadingNeedsThePermission(t *testing.T) { dbtest.EachURL(t, reading) }

func reading(t *testing.T, database config.Secret) {
	w := start(t, database)
	appendEvents(t, w, event(1), event(2, func(e *auditv1.Event) { e.OrganizationId = "org_b" }))
	w.Allow("usr_ann", permission, "org_a")
	ann := as(w, "usr_ann")

	got, _ := query(t, ann, &auditv1.QueryEventsRequest{OrganizationId: "org_a"})
	require.Equal(t, []string{"evt_0001"}, ids(got))
	for _, organization := range []string{"org_b", ""} {
		_, err := ann.QueryEvents(t.Context(), &auditv1.QueryEventsRequest{OrganizationId: organization})
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
		require.Equal(t, permission, rpcerror.Info(err).GetMetadata()["permission"])
	}
	_, err := auditv1connect.NewAuditServiceClient(w.Anonymous("audit")).QueryEvents(t.Context(), &auditv1.QueryEventsRequest{})
	require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))

	// Audit keeps what it refuses itself on its own record, by way of its own outbox.
	require.Eventually(t, func() bool {
		refused, _ := query(t, as(w, "usr_root"), &auditv1.QueryEventsRequest{Action: "access.deny", Outcome: auditv1.Outcome_OUTCOME_DENIED})
		return len(refused) == 2 && refused[1].GetService() == "audit" && refused[1].GetOrganizationId() == "org_b" &&
			refused[1].GetActor().GetId() == "usr_ann" && refused[1].GetProcedure() == auditv1connect.AuditServiceQueryEventsProcedure
	}, time.Minute, 5*time.Millisecond)
}

func TestOnlyAServiceAppendsAndOnlyItsOwn(t *testing.T) {
	w := start(t, dbtest.SQLiteURL(t))
	_, err := auditv1connect.NewIngestServiceClient(w.As("usr_root", "audit")).AppendEvents(t.Context(), &auditv1.AppendEventsRequest{Events: []*auditv1.Event{event(1)}})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.Equal(t, rpcerror.ReasonServicesOnly, rpcerror.Reason(err))

	_, err = ingest(w).AppendEvents(t.Context(), &auditv1.AppendEventsRequest{Events: []*auditv1.Event{
		event(1), event(2, func(e *auditv1.Event) { e.Service = "identity" }),
	}})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.Equal(t, "FOREIGN_EVENT", rpcerror.Reason(err))
	require.Equal(t, "identity", rpcerror.Info(err).GetMetadata()["service"])

	all, _ := query(t, as(w, "usr_root"), &auditv1.QueryEventsRequest{})
	require.Empty(t, all, "all or none")
}

func TestWhatIsNotValidIsRefused(t *testing.T) {
	w := start(t, dbtest.SQLiteURL(t))
	many := make([]*auditv1.Event, 501)
	for i := range many {
		many[i] = event(i)
	}
	one := func(change func(*auditv1.Event)) []*auditv1.Event {
		return []*auditv1.Event{event(1), event(2, change)}
	}
	attributes := map[string]string{}
	for i := range 33 {
		attributes[fmt.Sprint(i)] = ""
	}
	for name, test := range map[string]struct {
		events []*auditv1.Event
		field  string
	}{
		"none":                {nil, "events"},
		"too many":            {many, "events"},
		"no id":               {one(func(e *auditv1.Event) { e.Id = "" }), "events[1].id"},
		"a strange id":        {one(func(e *auditv1.Event) { e.Id = "usr_1" }), "events[1].id"},
		"no time":             {one(func(e *auditv1.Event) { e.OccurredAt = nil }), "events[1].occurred_at"},
		"a time that is none": {one(func(e *auditv1.Event) { e.OccurredAt = &timestamppb.Timestamp{Seconds: 1 << 60} }), "events[1].occurred_at"},
		"no service":          {one(func(e *auditv1.Event) { e.Service = "" }), "events[1].service"},
		"no action":           {one(func(e *auditv1.Event) { e.Action = "" }), "events[1].action"},
		"no actor":            {one(func(e *auditv1.Event) { e.Actor = nil }), "events[1].actor"},
		"no kind of actor":    {one(func(e *auditv1.Event) { e.Actor.Kind = 0 }), "events[1].actor.kind"},
		"no outcome":          {one(func(e *auditv1.Event) { e.Outcome = 0 }), "events[1].outcome"},
		"an unknown outcome":  {one(func(e *auditv1.Event) { e.Outcome = 9 }), "events[1].outcome"},
		"a long resource":     {one(func(e *auditv1.Event) { e.Resource = strings.Repeat("r", 129) }), "events[1].resource"},
		"too many attributes": {one(func(e *auditv1.Event) { e.Attributes = attributes }), "events[1].attributes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ingest(w).AppendEvents(t.Context(), &auditv1.AppendEventsRequest{Events: test.events})
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v", err)
			require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err))
			require.Contains(t, violations(t, err), test.field)
		})
	}
	root := as(w, "usr_root")
	all, _ := query(t, root, &auditv1.QueryEventsRequest{})
	require.Empty(t, all)

	for name, test := range map[string]struct {
		req   *auditv1.QueryEventsRequest
		field string
	}{
		"a negative page": {&auditv1.QueryEventsRequest{PageSize: -1}, "page_size"},
		"a large page":    {&auditv1.QueryEventsRequest{PageSize: 201}, "page_size"},
		"an outcome":      {&auditv1.QueryEventsRequest{Outcome: 9}, "outcome"},
		"since":           {&auditv1.QueryEventsRequest{Since: &timestamppb.Timestamp{Nanos: -1}}, "since"},
		"until":           {&auditv1.QueryEventsRequest{Until: &timestamppb.Timestamp{Seconds: -1 << 60}}, "until"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := root.QueryEvents(t.Context(), test.req)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v", err)
			require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err))
			require.Contains(t, violations(t, err), test.field)
		})
	}
}

// violations returns the fields that an error names.
func violations(t *testing.T, err error) []string {
	t.Helper()
	var e *connect.Error
	require.ErrorAs(t, err, &e)
	var fields []string
	for _, detail := range e.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		require.NoError(t, err)
		switch m := message.(type) {
		case *errdetails.BadRequest:
			for _, v := range m.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	return fields
}
