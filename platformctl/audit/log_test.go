package audit

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/services/audit"
)

// record is a real audit service whose database somebody can write.
type record struct {
	*testing.T

	w  *servicetest.World
	db *database.Database
}

func newRecord(t *testing.T) *record {
	t.Helper()
	url := dbtest.SQLiteURL(t)
	w := servicetest.New(t)
	w.Start(audit.Module(audit.Config{}), url)
	w.Allow("usr_root", "audit.event.read", "")
	w.Allow("usr_ann", "audit.event.read", "org_a")
	return &record{t, w, dbtest.Open(t, url)}
}

// add appends events of org_a and org_b in turn.
func (r *record) add(from, to int) {
	r.Helper()
	ingest := auditv1connect.NewIngestServiceClient(r.w.AsService("notes", "audit"))
	for from < to {
		var events []*auditv1.Event
		for ; from < to && len(events) < 500; from++ {
			events = append(events, &auditv1.Event{
				Id: fmt.Sprintf("evt_%05d", from), OccurredAt: timestamppb.New(time.Unix(int64(from), 0)), Service: "notes", Action: "note.create",
				Actor:          &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_USER, Id: "usr_ann"},
				OrganizationId: []string{"org_a", "org_b"}[from%2], Outcome: auditv1.Outcome_OUTCOME_SUCCESS,
			})
		}
		_, err := ingest.AppendEvents(context.Background(), &auditv1.AppendEventsRequest{Events: events})
		require.NoError(r, err)
	}
}

func (r *record) tamper(statements ...string) {
	r.Helper()
	for _, statement := range statements {
		_, err := r.db.DB.ExecContext(r.Context(), statement)
		require.NoError(r, err)
	}
}

// verify does what the command does, and returns what it verified, and what it says about an error.
func (r *record) verify(user, organization string, before *auditlog.Checkpoint) (*log, string, error) {
	r.Helper()
	service := auditv1connect.NewAuditServiceClient(r.w.As(user, "audit"))
	res, err := service.GetCheckpoint(r.Context(), &auditv1.GetCheckpointRequest{OrganizationId: organization})
	require.NoError(r, err)
	now, err := auditlog.OpenCheckpoint(res.GetCheckpoint(), res.GetVerifierKey())
	require.NoError(r, err)
	l := &log{service: service, organization: organization, now: now, before: before, progress: &progress{}}
	err = l.verify(r.Context())
	var said bytes.Buffer
	if err != nil {
		l.blame(r.Context(), &said, err)
	}
	return l, said.String(), err
}

func TestAnUntouchedRecordIsVerified(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	r.add(0, 450)
	all, _, err := r.verify("usr_root", "", nil)
	require.NoError(t, err)
	require.Equal(t, int64(450), all.events)
	ours, _, err := r.verify("usr_ann", "org_a", nil)
	require.NoError(t, err)
	require.Equal(t, int64(225), ours.events)

	r.add(450, 700)
	for user, organization := range map[string]string{"usr_root": "", "usr_ann": "org_a"} {
		for _, before := range []*auditlog.Checkpoint{&all.now, {Origin: all.now.Origin, Root: new(auditlog.Tree).Root()}} {
			_, _, err := r.verify(user, organization, before)
			require.NoError(t, err)
		}
	}
	empty := newRecord(t)
	l, _, err := empty.verify("usr_root", "", nil)
	require.NoError(t, err)
	require.Zero(t, l.events)
}

func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statements []string
		all        string // what whoever may read everything is told
		blames     string // and which events are named
		ours       string // what whoever may read org_a is told; empty: it is not for him to find
	}{
		"an event is edited": {
			[]string{"UPDATE events SET actor_id = 'usr_bob' WHERE leaf_index = 4"},
			"the first 6 events are not those that were seen before", "  place 4: event evt_00004 is not what was recorded\n",
			`event "evt_00004" is not what was recorded at place 4`,
		},
		"another's event is edited": {
			[]string{"UPDATE events SET actor_id = 'usr_bob' WHERE leaf_index = 7"},
			"its 10 events are not those that were signed", "  place 7: event evt_00007 is not what was recorded\n", "",
		},
		"an event is moved to another organization": {
			[]string{"UPDATE events SET organization_id = 'org_b' WHERE leaf_index = 4"},
			"the first 6 events", "place 4", "", // what is kept from him he cannot find
		},
		"two change places": {
			[]string{
				"UPDATE events SET leaf_index = -1 WHERE leaf_index = 4", "UPDATE events SET leaf_index = 4 WHERE leaf_index = 6",
				"UPDATE events SET leaf_index = 6 WHERE leaf_index = -1",
			}, "the events at places 4 to 5 are missing", "", "has no place, or not its own",
		},
		"the last events are deleted": {
			[]string{"DELETE FROM events WHERE leaf_index >= 8"}, "the events at places 8 to 9 are missing at its end", "", "",
		},
		"one is deleted": {
			[]string{"DELETE FROM events WHERE leaf_index = 4"}, "the event at place 4 is missing", "", "",
		},
		"the checkpoint is set back": {
			[]string{"UPDATE tree_heads SET checkpoint = (SELECT checkpoint FROM kept)"}, "it has 6 events, and had 10", "", "it has 6 events, and had 10",
		},
		"the hashes are changed": {
			[]string{"UPDATE tree_hashes SET hash = zeroblob(32) WHERE id = 2"}, "", "", "is not what was recorded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(t)
			r.add(0, 6)
			r.tamper("CREATE TABLE kept AS SELECT checkpoint FROM tree_heads")
			first, _, err := r.verify("usr_root", "", nil)
			require.NoError(t, err)
			r.add(6, 10)
			before := &first.now
			if name == "the checkpoint is set back" {
				second, _, err := r.verify("usr_root", "", nil)
				require.NoError(t, err)
				before = &second.now
			}

			r.tamper(test.statements...)
			_, said, err := r.verify("usr_root", "", before)
			if test.all == "" {
				require.NoError(t, err, "the events are what was signed")
			} else {
				require.ErrorIs(t, err, auditlog.ErrTampered)
				require.ErrorContains(t, err, test.all)
				require.Equal(t, exit.Tampered, exit.Code(coded(err)))
				require.Contains(t, said, test.blames)
			}
			_, _, err = r.verify("usr_ann", "org_a", before)
			if test.ours != "" {
				require.ErrorIs(t, err, auditlog.ErrTampered)
				require.ErrorContains(t, err, test.ours)
			}
		})
	}
}

// forger is a service that says what its test wants.
type forger struct {
	auditv1connect.AuditServiceClient

	query func(*auditv1.QueryEventsRequest) (*auditv1.QueryEventsResponse, error)
	prove func(*auditv1.BatchGetInclusionProofsRequest) (*auditv1.BatchGetInclusionProofsResponse, error)
}

func (f *forger) QueryEvents(_ context.Context, req *auditv1.QueryEventsRequest) (*auditv1.QueryEventsResponse, error) {
	return f.query(req)
}

func (f *forger) BatchGetInclusionProofs(_ context.Context, req *auditv1.BatchGetInclusionProofsRequest) (*auditv1.BatchGetInclusionProofsResponse, error) {
	return f.prove(req)
}

// A service that lies, or never ends, is found out and left.
func TestAHostileService(t *testing.T) {
	t.Parallel()
	place := func(i int64) *auditv1.Event {
		return &auditv1.Event{Id: "evt_x", LeafIndex: &i, OrganizationId: "org_a"}
	}
	now := auditlog.Checkpoint{Origin: "x", Size: 5}
	for name, test := range map[string]struct {
		organization string
		page         *auditv1.QueryEventsResponse
		tampered     bool
	}{
		"the same page for ever":            {"", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(0)}, NextPageToken: "x"}, true},
		"the same page for ever, by org":    {"org_a", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(0)}, NextPageToken: "x"}, true},
		"empty pages for ever":              {"", &auditv1.QueryEventsResponse{NextPageToken: "x"}, false},
		"no events":                         {"", &auditv1.QueryEventsResponse{}, true},
		"an event without a place":          {"", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{{Id: "evt_x"}}}, true},
		"an event without a place, by org":  {"org_a", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{{Id: "evt_x"}}}, true},
		"an event before the log":           {"", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(-1)}}, true},
		"an event before the log, by org":   {"org_a", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(-1)}}, true},
		"proofs of nothing":                 {"org_a", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(2)}}, true},
		"more events than proofs":           {"org_a", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(2), place(3)}}, false},
		"an event of another organization":  {"org_b", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(2)}}, true},
		"events after those that it signed": {"", &auditv1.QueryEventsResponse{Events: []*auditv1.Event{place(5)}, NextPageToken: "x"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &forger{
				query: func(*auditv1.QueryEventsRequest) (*auditv1.QueryEventsResponse, error) { return test.page, nil },
				prove: func(*auditv1.BatchGetInclusionProofsRequest) (*auditv1.BatchGetInclusionProofsResponse, error) {
					return &auditv1.BatchGetInclusionProofsResponse{Proofs: []*auditv1.InclusionProof{{}}}, nil
				},
			}
			err := (&log{service: f, organization: test.organization, now: now, progress: &progress{}}).verify(t.Context())
			require.Error(t, err)
			if test.tampered {
				require.ErrorIs(t, err, auditlog.ErrTampered)
			} else {
				require.NotErrorIs(t, err, auditlog.ErrTampered)
			}
		})
	}
}

// A call that fails for now is made again; what is for the person to see is not.
func TestCallsAreMadeAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err   *connect.Error
		calls int
	}{
		"limited":          {connect.NewError(connect.CodeResourceExhausted, "slow down").WithRemote(), 3},
		"an instance left": {connect.NewError(connect.CodeUnavailable, "going away").WithRemote(), 3},
		"nobody answers":   {connect.NewError(connect.CodeUnavailable, "connection refused"), 1},
		"denied":           {connect.NewError(connect.CodePermissionDenied, "no").WithRemote(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			_, err := call(t.Context(), func(context.Context) (int, error) {
				if calls++; calls < 3 {
					return 0, test.err
				}
				return 7, nil
			})
			require.Equal(t, test.calls, calls)
			require.Equal(t, test.calls == 3, err == nil)
		})
	}
}
