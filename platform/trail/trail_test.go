package trail_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/outbox"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/trail"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// tables are those of ent/mixin.
const tables = `
CREATE TABLE outbox_events (id integer PRIMARY KEY AUTOINCREMENT, event_id text NOT NULL UNIQUE, payload blob NOT NULL, created_at integer NOT NULL);
CREATE TABLE outbox_leases (id text NOT NULL PRIMARY KEY, holder text NOT NULL, expires_at integer NOT NULL);
CREATE TABLE notes (id text NOT NULL PRIMARY KEY);`

type world struct {
	db      *database.Database
	box     *outbox.Outbox
	trail   *trail.Trail
	metrics *prometheus.Registry
	logs    *strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{db: dbtest.SQLite(t), metrics: prometheus.NewRegistry(), logs: &strings.Builder{}}
	_, err := w.db.DB.ExecContext(t.Context(), tables)
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(w.logs, nil))
	w.box = outbox.New(w.db, log, w.metrics)
	w.trail = trail.New("notes", w.box, w.db.DB, log, w.metrics)
	return w
}

// pending returns the events in the outbox.
func (w *world) pending(t *testing.T) []*auditv1.Event {
	t.Helper()
	rows, err := w.db.DB.QueryContext(t.Context(), "SELECT payload FROM outbox_events ORDER BY id")
	require.NoError(t, err)
	defer rows.Close()
	var events []*auditv1.Event
	for rows.Next() {
		var payload []byte
		require.NoError(t, rows.Scan(&payload))
		events = append(events, &auditv1.Event{})
		require.NoError(t, proto.Unmarshal(payload, events[len(events)-1]))
	}
	require.NoError(t, rows.Err())
	return events
}

var ann = authn.Principal{Kind: authn.User, UserID: "usr_ann", SessionID: "ses_1"}

func TestAChangeAndItsEventAreOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := func(fails error) error {
		tx, err := w.db.DB.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), "INSERT INTO notes VALUES ('note_1')")
		require.NoError(t, err)
		err = w.trail.Append(authn.NewContext(t.Context(), ann), tx, audit.Change{
			Action: "note.create", Resource: "note_1", Organization: "org_a", Attributes: map[string]string{"title": "one"},
		})
		require.NoError(t, err)
		if fails != nil {
			return fails
		}
		return tx.Commit()
	}
	require.Error(t, change(errors.New("changed my mind")))
	require.Empty(t, w.pending(t))
	require.NoError(t, change(nil))

	events := w.pending(t)
	require.Len(t, events, 1)
	e := events[0]
	require.WithinDuration(t, time.Now(), e.GetOccurredAt().AsTime(), time.Minute)
	require.True(t, strings.HasPrefix(e.GetId(), "evt_"))
	e.Id, e.OccurredAt = "", nil
	require.True(t, proto.Equal(&auditv1.Event{
		Service: "notes", Action: "note.create", Resource: "note_1", OrganizationId: "org_a", Outcome: auditv1.Outcome_OUTCOME_SUCCESS,
		Actor:      &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_USER, Id: "usr_ann", SessionId: "ses_1"},
		Attributes: map[string]string{"title": "one"},
	}, e), "%s", e)
}

func TestActors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		caller authn.Principal
		want   *auditv1.Actor
	}{
		"a person":  {ann, &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_USER, Id: "usr_ann", SessionId: "ses_1"}},
		"a service": {authn.Principal{Kind: authn.Service, ServiceName: "shop"}, &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_SERVICE, Id: "shop"}},
		"nobody":    {authn.Principal{}, &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_ANONYMOUS}},
	} {
		w := newWorld(t)
		require.NoError(t, w.trail.Append(authn.NewContext(t.Context(), test.caller), w.db.DB, audit.Change{Action: "note.create"}), name)
		require.True(t, proto.Equal(test.want, w.pending(t)[0].GetActor()), name)
	}
}

// What audit would refuse must not get into the outbox, where it would hold up everything behind it: the change fails.
func TestAnEventThatAuditWouldRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]audit.Change{
		"no action":        {},
		"a long resource":  {Action: "note.create", Resource: strings.Repeat("r", 129)},
		"a long attribute": {Action: "note.create", Attributes: map[string]string{"a": strings.Repeat("x", 1025)}},
	} {
		require.Error(t, w.trail.Append(t.Context(), w.db.DB, change), name)
	}
	require.Error(t, w.trail.Append(t.Context(), w.db.DB, audit.Change{Action: "note.create", Resource: "\xff"}), "text that is none")
	require.Empty(t, w.pending(t))
}

func TestDenied(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ claims, organization, attribute string }{
		"in an organization":             {"org_a", "org_a", ""},
		"everywhere":                     {"", "", ""},
		"in one with a very long name":   {strings.Repeat("o", 5000), "", `"` + strings.Repeat("o", 100) + `"`},
		"in one that PostgreSQL refuses": {"org_\x00", "", `"org_\x00"`},
		"in one that is no text":         {"\xff\xfe", "", `"\xff\xfe"`},
		"in one that breaks the line":    {"org_a\nfaked log line", "", `"org_a\nfaked log line"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx, cancel := context.WithCancel(authn.NewContext(t.Context(), ann))
			cancel() // who hangs up is on the record all the same
			w.trail.Denied(ctx, access.Denial{Procedure: "/acme.notes.v1.NoteService/GetNote", Permission: "notes.note.read", Organization: test.claims})
			events := w.pending(t)
			require.Len(t, events, 1, w.logs.String())
			e := events[0]
			require.Equal(t, "access.deny", e.GetAction())
			require.Equal(t, auditv1.Outcome_OUTCOME_DENIED, e.GetOutcome())
			require.Equal(t, rpcerror.ReasonPermissionDenied, e.GetReason())
			require.Equal(t, "usr_ann", e.GetActor().GetId())
			require.Equal(t, "notes.note.read", e.GetAttributes()["permission"])
			require.Equal(t, test.organization, e.GetOrganizationId())
			require.Equal(t, test.attribute, e.GetAttributes()["organization"])
		})
	}
}

// A hostile caller cannot fill the disk with what it is refused.
func TestFloodsOfDenials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 2000
	begun := time.Now()
	for range many {
		w.trail.Denied(t.Context(), access.Denial{Permission: "notes.note.read"})
	}
	kept := len(w.pending(t))
	require.LessOrEqual(t, kept, 200+int(50*time.Since(begun).Seconds())+1)
	require.GreaterOrEqual(t, kept, 200)
	require.InDelta(t, many-kept, counter(t, w.metrics, "ashlar_audit_denials_dropped_total"), 0)
}

// A refusal that cannot be recorded is still a refusal, and somebody is told.
func TestADenialThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.db.DB.ExecContext(t.Context(), "DROP TABLE outbox_events")
	require.NoError(t, err)
	w.trail.Denied(t.Context(), access.Denial{Procedure: "/a.B/C", Permission: "notes.note.read"})
	require.Contains(t, w.logs.String(), "cannot record a refused call")
}

func TestUnrecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trail.Unrecorded("/a.B/C")
	w.trail.Unrecorded("/a.B/C")
	require.InDelta(t, 2, counter(t, w.metrics, "ashlar_audit_unrecorded_total"), 0)
}

func counter(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	n, err := testutil.GatherAndCount(registry, name)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// ingest stands in for audit.
type ingest struct {
	auditv1connect.UnimplementedIngestServiceHandler

	mu    sync.Mutex
	calls [][]*auditv1.Event
	fails error
	// refuses says why an event is not taken.
	refuses func(*auditv1.Event) error
}

func (i *ingest) AppendEvents(_ context.Context, req *auditv1.AppendEventsRequest) (*auditv1.AppendEventsResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fails != nil {
		return nil, i.fails
	}
	for _, event := range req.GetEvents() {
		if i.refuses == nil {
			break
		}
		if err := i.refuses(event); err != nil {
			return nil, err
		}
	}
	i.calls = append(i.calls, req.GetEvents())
	return &auditv1.AppendEventsResponse{}, nil
}

func newSink(t *testing.T, i *ingest) outbox.Sink {
	t.Helper()
	return newLoggingSink(t, i, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

func newLoggingSink(t *testing.T, i *ingest, log *slog.Logger, metrics prometheus.Registerer) outbox.Sink {
	t.Helper()
	hub, server := rpc.NewHub(), connect.NewServer()
	auditv1connect.RegisterIngestServiceHandler(server, i)
	hub.Add(trail.Service, server)
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{}, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	clients, err := rpc.NewLocalClients(tel, workload.NewTokens("notes", workload.NewClusterKey()), hub)
	require.NoError(t, err)
	return trail.NewSink(clients, log, metrics)
}

func TestSink(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ events, size, calls int }{
		"one":                       {1, 10, 1},
		"as many as there can be":   {100, 1000, 1},
		"as large as there can be":  {100, 140_000, 8}, // more than a message may have
		"one that is large":         {1, 3 << 20, 1},
		"each too large for others": {3, 3 << 20, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &ingest{}
			var payloads [][]byte
			for n := range test.events {
				payload, err := proto.Marshal(&auditv1.Event{Id: fmt.Sprint("evt_", n), Attributes: map[string]string{"a": strings.Repeat("x", test.size)}})
				require.NoError(t, err)
				payloads = append(payloads, payload)
			}
			require.NoError(t, newSink(t, i)(t.Context(), payloads))
			require.True(t, len(i.calls) == test.calls, "%d calls", len(i.calls)) // require.Len would print megabytes
			n := 0
			for _, call := range i.calls {
				for _, e := range call {
					require.Equal(t, fmt.Sprint("evt_", n), e.GetId(), "in order")
					n++
				}
			}
			require.Equal(t, test.events, n)
		})
	}
}

func TestSinkFails(t *testing.T) {
	t.Parallel()
	i := &ingest{fails: connect.NewError(connect.CodeUnavailable, "down")}
	payload, err := proto.Marshal(&auditv1.Event{Id: "evt_1"})
	require.NoError(t, err)
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(newSink(t, i)(t.Context(), [][]byte{payload})), "then the batch is tried again")
	i.fails = rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied, "not you")
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(newSink(t, i)(t.Context(), [][]byte{payload})), "something is set up wrongly")
}

// One event that audit will never take must not keep those behind it for ever.
func TestSinkSetsAside(t *testing.T) {
	t.Parallel()
	i := &ingest{refuses: func(e *auditv1.Event) error {
		switch e.GetAction() {
		case "invalid":
			return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, "not an event")
		case "foreign":
			return rpcerror.New(connect.CodePermissionDenied, "FOREIGN_EVENT", "not yours")
		}
		return nil
	}}
	var payloads [][]byte
	for n, action := range []string{"good", "invalid", "good", "foreign", "good"} {
		payload, err := proto.Marshal(&auditv1.Event{Id: fmt.Sprint("evt_", n), Action: action, Attributes: map[string]string{"a": "geheim"}})
		require.NoError(t, err)
		payloads = append(payloads, payload)
	}
	payloads = append(payloads, []byte{0xff})
	metrics, logs := prometheus.NewRegistry(), &strings.Builder{}
	sink := newLoggingSink(t, i, slog.New(slog.NewTextHandler(logs, nil)), metrics)
	require.NoError(t, sink(t.Context(), payloads))

	var delivered []string
	for _, call := range i.calls {
		for _, e := range call {
			delivered = append(delivered, e.GetId())
		}
	}
	require.Equal(t, []string{"evt_0", "evt_2", "evt_4"}, delivered, "the others, in order")
	require.InDelta(t, 3, counter(t, metrics, "ashlar_audit_undeliverable_total"), 0)
	require.Equal(t, 3, strings.Count(logs.String(), "level=ERROR"))
	require.Contains(t, logs.String(), "event=evt_1 reason=INVALID_REQUEST")
	require.Contains(t, logs.String(), "event=evt_3 reason=FOREIGN_EVENT")
	require.Contains(t, logs.String(), "reason=MALFORMED")
	require.NotContains(t, logs.String(), "geheim")

	// What is away meanwhile is waited for.
	i.refuses = func(e *auditv1.Event) error {
		if e.GetAction() == "invalid" {
			return connect.NewError(connect.CodeInvalidArgument, "not an event")
		}
		return nil
	}
	i.calls, i.fails = nil, connect.NewError(connect.CodeUnavailable, "down")
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(sink(t.Context(), payloads)))
}
