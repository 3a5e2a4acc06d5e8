package audit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/platform/servicetest"
)

// newest returns the checkpoint that a caller gets, verified.
func newest(t *testing.T, client auditv1connect.AuditServiceClient, organization string) auditlog.Checkpoint {
	t.Helper()
	res, err := client.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{OrganizationId: organization})
	require.NoError(t, err)
	c, err := auditlog.OpenCheckpoint(res.GetCheckpoint(), res.GetVerifierKey())
	require.NoError(t, err)
	return c
}

// What an outsider does who has nothing but the RPCs.
func TestVerifyingByRPC(t *testing.T) { dbtest.EachURL(t, verifyByRPC) }

func verifyByRPC(t *testing.T, database config.Secret) {
	w := start(t, database)
	root := as(w, "usr_root")
	require.Equal(t, "ashlar/audit", newest(t, root, "").Origin)
	appendEvents(t, w, event(0), event(1), event(2))
	old := newest(t, root, "")
	for i := 3; i < 20; i++ {
		appendEvents(t, w, event(i, func(e *auditv1.Event) {
			e.LeafIndex = proto.Int64(1000) // is ignored
			if i%3 == 0 {
				e.OrganizationId = "org_b"
			}
		}))
	}
	now := newest(t, root, "")
	require.Equal(t, int64(3), old.Size)
	require.Equal(t, int64(20), now.Size)

	// All of it.
	all, pages := query(t, root, &auditv1.QueryEventsRequest{OldestFirst: true, PageSize: 7})
	require.Equal(t, 3, pages)
	v, err := auditlog.NewVerifier(now, old)
	require.NoError(t, err)
	for _, e := range all {
		require.NoError(t, v.Add(e))
	}
	require.NoError(t, v.Finish())

	// The events of one organization.
	w.Allow("usr_ann", permission, "org_b")
	ann := as(w, "usr_ann")
	require.Equal(t, now, newest(t, ann, "org_b"))
	ours, _ := query(t, ann, &auditv1.QueryEventsRequest{OrganizationId: "org_b", OldestFirst: true})
	require.Len(t, ours, 6)
	var places []int64
	for _, e := range ours {
		places = append(places, e.GetLeafIndex())
		for _, size := range []int64{0, now.Size, e.GetLeafIndex() + 1} {
			byID, err := ann.GetInclusionProof(t.Context(), &auditv1.GetInclusionProofRequest{
				OrganizationId: "org_b", TreeSize: size, Event: &auditv1.GetInclusionProofRequest_EventId{EventId: e.GetId()},
			})
			require.NoError(t, err)
			byPlace, err := ann.GetInclusionProof(t.Context(), &auditv1.GetInclusionProofRequest{
				OrganizationId: "org_b", TreeSize: size, Event: &auditv1.GetInclusionProofRequest_LeafIndex{LeafIndex: e.GetLeafIndex()},
			})
			require.NoError(t, err)
			require.True(t, proto.Equal(byID, byPlace))
			if byID.GetTreeSize() == now.Size {
				require.NoError(t, auditlog.CheckInclusion(now, e, byID.GetProof()))
			}
		}
	}
	batch, err := ann.BatchGetInclusionProofs(t.Context(), &auditv1.BatchGetInclusionProofsRequest{OrganizationId: "org_b", LeafIndexes: places})
	require.NoError(t, err)
	for i, e := range ours {
		require.NoError(t, auditlog.CheckInclusion(now, e, batch.GetProofs()[i]))
	}
	twice, err := ann.BatchGetInclusionProofs(t.Context(), &auditv1.BatchGetInclusionProofsRequest{OrganizationId: "org_b", LeafIndexes: []int64{places[1], places[0], places[1]}})
	require.NoError(t, err)
	require.True(t, proto.Equal(twice.GetProofs()[0], twice.GetProofs()[2]))
	consistency, err := ann.GetConsistencyProof(t.Context(), &auditv1.GetConsistencyProofRequest{OrganizationId: "org_b", OldSize: old.Size})
	require.NoError(t, err)
	require.NoError(t, auditlog.CheckConsistency(now, old, consistency.GetHashes()))

	refused(t, w, ann, now, ours)
}

// refused is what somebody gets who may read org_b only. The log grows meanwhile, because refusals are recorded, too.
func refused(t *testing.T, w *servicetest.World, ann auditv1connect.AuditServiceClient, now auditlog.Checkpoint, ours []*auditv1.Event) {
	t.Helper()
	proofByID := func(organization, id string) error {
		_, err := ann.GetInclusionProof(t.Context(), &auditv1.GetInclusionProofRequest{
			OrganizationId: organization, Event: &auditv1.GetInclusionProofRequest_EventId{EventId: id},
		})
		return err
	}
	proofByPlace := func(organization string, size int64, places ...int64) error {
		_, err := ann.BatchGetInclusionProofs(t.Context(), &auditv1.BatchGetInclusionProofsRequest{
			OrganizationId: organization, LeafIndexes: places, TreeSize: size,
		})
		return err
	}
	consistency := func(organization string, older, newer int64) error {
		_, err := ann.GetConsistencyProof(t.Context(), &auditv1.GetConsistencyProofRequest{OrganizationId: organization, OldSize: older, NewSize: newer})
		return err
	}
	checkpoint := func(client auditv1connect.AuditServiceClient, organization string) error {
		_, err := client.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{OrganizationId: organization})
		return err
	}
	foreign, own := int64(1), ours[0].GetLeafIndex()
	for name, test := range map[string]struct {
		err    error
		code   connect.Code
		reason string
	}{
		"a checkpoint for everything":        {checkpoint(ann, ""), connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied},
		"a checkpoint for another":           {checkpoint(ann, "org_a"), connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied},
		"a checkpoint for nobody":            {checkpoint(auditv1connect.NewAuditServiceClient(w.Anonymous("audit")), "org_b"), connect.CodeUnauthenticated, rpcerror.ReasonTokenMissing},
		"a proof of everything":              {proofByID("", ours[0].GetId()), connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied},
		"another's event by id":              {proofByID("org_b", "evt_0001"), connect.CodeNotFound, "NO_SUCH_EVENT"},
		"no event":                           {proofByID("org_b", "evt_none"), connect.CodeNotFound, "NO_SUCH_EVENT"},
		"another's event by place":           {proofByPlace("org_b", 0, foreign), connect.CodeNotFound, "NO_SUCH_EVENT"},
		"another's among one's own":          {proofByPlace("org_b", 0, own, foreign), connect.CodeNotFound, "NO_SUCH_EVENT"},
		"another's twice":                    {proofByPlace("org_b", 0, own, foreign, foreign), connect.CodeNotFound, "NO_SUCH_EVENT"},
		"a place beyond the log":             {proofByPlace("org_b", 0, now.Size+1000), connect.CodeOutOfRange, "BEYOND_LOG"},
		"a place beyond the size":            {proofByPlace("org_b", own, own), connect.CodeOutOfRange, "BEYOND_LOG"},
		"a size beyond the log":              {proofByPlace("org_b", now.Size+1000, own), connect.CodeOutOfRange, "BEYOND_LOG"},
		"no place":                           {proofByPlace("org_b", 0), connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest},
		"a negative place":                   {proofByPlace("org_b", 0, -1), connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest},
		"consistency of everything":          {consistency("", 1, 2), connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied},
		"consistency with a later log":       {consistency("org_b", 5, 4), connect.CodeOutOfRange, "BEYOND_LOG"},
		"consistency of a log still to come": {consistency("org_b", 5, now.Size+1000), connect.CodeOutOfRange, "BEYOND_LOG"},
		"consistency with a negative size":   {consistency("org_b", -1, 0), connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest},
		"neither id nor place": {func() error {
			_, err := ann.GetInclusionProof(t.Context(), &auditv1.GetInclusionProofRequest{OrganizationId: "org_b"})
			return err
		}(), connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest},
	} {
		require.Equal(t, test.code, connect.CodeOf(test.err), "%s: %v", name, test.err)
		require.Equal(t, test.reason, rpcerror.Reason(test.err), name)
	}
}

// stream is what a test sees of TailEvents.
type stream struct {
	t *testing.T
	auditv1connect.AuditServiceTailEventsClientStream
}

func tail(t *testing.T, client auditv1connect.AuditServiceClient, req *auditv1.TailEventsRequest) stream {
	t.Helper()
	s, err := client.TailEvents(t.Context(), req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return stream{t, s}
}

// next returns the id of the next event, "" for a heartbeat, and the token.
func (s stream) next() (string, string) {
	s.t.Helper()
	message, err := s.Receive()
	require.NoError(s.t, err)
	require.NotEmpty(s.t, message.GetResumeToken())
	return message.GetEvent().GetId(), message.GetResumeToken()
}

func (s stream) expect(ids ...string) (token string) {
	s.t.Helper()
	for _, want := range ids {
		var got string
		for got, token = s.next(); got == "" && want != ""; { // a heartbeat, where the machine is slow
			got, token = s.next()
		}
		require.Equal(s.t, want, got)
	}
	return token
}

func from(i int64) *auditv1.TailEventsRequest_FromLeafIndex {
	return &auditv1.TailEventsRequest_FromLeafIndex{FromLeafIndex: i}
}

func resume(token string) *auditv1.TailEventsRequest_ResumeToken {
	return &auditv1.TailEventsRequest_ResumeToken{ResumeToken: token}
}

func TestTail(t *testing.T) { dbtest.EachURL(t, tailed) }

func tailed(t *testing.T, database config.Secret) {
	w := start(t, database)
	root := as(w, "usr_root")
	appendEvents(t, w, event(0), event(1))

	now := tail(t, root, &auditv1.TailEventsRequest{})
	token := now.expect("")
	all := tail(t, root, &auditv1.TailEventsRequest{Start: from(0)})
	all.expect("evt_0000", "evt_0001", "")
	later := tail(t, root, &auditv1.TailEventsRequest{Start: from(2)})
	later.expect("")
	w.Allow("usr_ann", permission, "org_b")
	ours := tail(t, as(w, "usr_ann"), &auditv1.TailEventsRequest{OrganizationId: "org_b", Start: from(1)})
	ourToken := ours.expect("")

	b := func(e *auditv1.Event) { e.OrganizationId = "org_b" }
	appendEvents(t, w, event(2), event(3, b), event(1), event(4))
	for _, s := range []stream{now, all, later} {
		s.expect("evt_0002", "evt_0003", "evt_0004")
	}
	require.NotEqual(t, ourToken, ours.expect("evt_0003"))

	// Somebody comes back with the token of any message.
	tail(t, root, &auditv1.TailEventsRequest{Start: resume(token)}).expect("evt_0002", "evt_0003", "evt_0004", "")
	again := tail(t, as(w, "usr_ann"), &auditv1.TailEventsRequest{OrganizationId: "org_b", Start: resume(ourToken)})
	again.expect("evt_0003", "")

	for name, test := range map[string]struct {
		req    *auditv1.TailEventsRequest
		client auditv1connect.AuditServiceClient
		reason string
	}{
		"another filter's token": {&auditv1.TailEventsRequest{Start: resume(token), Action: "note.create"}, root, rpcerror.ReasonInvalidPageToken},
		"another org's token":    {&auditv1.TailEventsRequest{Start: resume(token), OrganizationId: "org_b"}, as(w, "usr_ann"), rpcerror.ReasonInvalidPageToken},
		"no token":               {&auditv1.TailEventsRequest{Start: resume("x")}, root, rpcerror.ReasonInvalidPageToken},
		"beyond the log":         {&auditv1.TailEventsRequest{Start: from(6)}, root, "BEYOND_LOG"},
		"a negative place":       {&auditv1.TailEventsRequest{Start: from(-1)}, root, rpcerror.ReasonInvalidRequest},
		"everything":             {&auditv1.TailEventsRequest{}, as(w, "usr_ann"), rpcerror.ReasonPermissionDenied},
	} {
		s, err := test.client.TailEvents(t.Context(), test.req)
		if err == nil {
			_, err = s.Receive()
		}
		require.Equal(t, test.reason, rpcerror.Reason(err), "%s: %v", name, err)
	}
}

// Who loses the permission hears of no event after that, also in a stream that is open.
func TestATailEndsWithThePermission(t *testing.T) {
	t.Parallel()
	w := start(t, dbtest.SQLiteURL(t))
	w.Allow("usr_ann", permission, "org_b")
	ours := tail(t, as(w, "usr_ann"), &auditv1.TailEventsRequest{OrganizationId: "org_b"})
	ours.expect("")
	b := func(e *auditv1.Event) { e.OrganizationId = "org_b" }
	appendEvents(t, w, event(0, b))
	ours.expect("evt_0000")
	w.Disallow("usr_ann", permission, "org_b")
	appendEvents(t, w, event(1, b))
	message, err := ours.Receive()
	require.Nil(t, message.GetEvent())
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "%v", err)
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err))
}

// Streams that are cut at any time and gone on with see each event once, in order, while others append.
func TestATailMissesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, cutTails)
}

func cutTails(t *testing.T, database config.Secret) {
	w := start(t, database)
	root := as(w, "usr_root")
	const count = 600
	var appending sync.WaitGroup
	defer appending.Wait()
	appending.Go(func() {
		for i := 0; i < count; i += 3 {
			if _, err := ingest(w).AppendEvents(context.Background(), &auditv1.AppendEventsRequest{Events: []*auditv1.Event{event(i), event(i + 1), event(i + 2)}}); err != nil {
				t.Error(err)
			}
		}
	})
	req := &auditv1.TailEventsRequest{Start: from(0)}
	for next, cut := 0, 1; next < count; cut = cut%17 + 1 {
		s := tail(t, root, req)
		for range cut {
			message, err := s.Receive()
			if connect.CodeOf(err) == connect.CodeUnavailable {
				break // a cut, too: where the machine stalls, nobody can tell in time what the caller may see
			}
			require.NoError(t, err)
			if id := message.GetEvent().GetId(); id != "" {
				require.Equal(t, fmt.Sprintf("evt_%04d", next), id)
				next++
			}
			req.Start = resume(message.GetResumeToken())
			if next == count {
				break
			}
		}
		require.NoError(t, s.Close())
	}
}

// A caller who does not read holds up nobody but himself.
func TestASlowReader(t *testing.T) {
	t.Parallel()
	w := start(t, dbtest.SQLiteURL(t))
	root := as(w, "usr_root")
	slow := tail(t, root, &auditv1.TailEventsRequest{Start: from(0)})
	slow.expect("")
	quick := tail(t, root, &auditv1.TailEventsRequest{Start: from(0)})
	quick.expect("")
	for i := range 300 {
		appendEvents(t, w, event(i))
		quick.expect(event(i).GetId())
	}
	for i := range 300 {
		slow.expect(event(i).GetId())
	}
}

// When the service drains, its streams end, and their callers are told to go on elsewhere.
func TestADrainEndsTails(t *testing.T) {
	ended := make(chan error, 1)
	t.Run("service", func(t *testing.T) {
		w := start(t, dbtest.SQLiteURL(t))
		s, err := as(w, "usr_root").TailEvents(context.Background(), &auditv1.TailEventsRequest{})
		require.NoError(t, err)
		_, err = s.Receive()
		require.NoError(t, err)
		go func() {
			_, err := s.Receive()
			ended <- errors.Join(err, s.Close())
		}()
	}) // stops it
	select {
	case err := <-ended:
		require.NotErrorIs(t, err, io.EOF)
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "%v", err)
	case <-time.After(time.Minute):
		t.Fatal("the stream went on")
	}
}
