package notes_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
)

func TestWatching(t *testing.T) { dbtest.EachURL(t, watching) }

func watching(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, user := range []string{"usr_ada", "usr_bob", "usr_max"} {
		w.Allow(user, read, "org_acme")
		w.Allow(user, write, "org_acme")
	}
	w.Allow("usr_max", manage, "org_acme")
	ada := as(w, "usr_ada")
	before := create(t, ada, "Before", "")
	adas, bobs, boss := watch(t, ada, ""), watch(t, as(w, "usr_bob"), ""), watch(t, as(w, "usr_max"), "")

	plan := create(t, ada, "Plan", "")
	adas.next("changed " + plan)
	boss.next("changed " + plan)
	_, err := ada.UpdateNote(ctx, update("org_acme", before, 0, "title"))
	require.NoError(t, err)
	adas.next("changed " + before)
	boss.next("changed " + before)

	// Bob hears of a note when it is shared with him, and when it is not any more; in between of its changes.
	_, err = ada.ShareNote(ctx, &notesv1.ShareNoteRequest{OrganizationId: "org_acme", NoteId: plan, UserId: "usr_bob"})
	require.NoError(t, err)
	bobs.next("changed " + plan)
	_, err = ada.UpdateNote(ctx, update("org_acme", plan, 0, "title"))
	require.NoError(t, err)
	require.Equal(t, "Changed", bobs.next("changed "+plan).GetNote().GetTitle())
	_, err = ada.UnshareNote(ctx, &notesv1.UnshareNoteRequest{OrganizationId: "org_acme", NoteId: plan, UserId: "usr_bob"})
	require.NoError(t, err)
	bobs.next("removed " + plan)

	// What he does not see he does not hear of, not even that it goes: the next he hears is his own.
	_, err = ada.UpdateNote(ctx, update("org_acme", plan, 0, "title"))
	require.NoError(t, err)
	_, err = ada.DeleteNote(ctx, &notesv1.DeleteNoteRequest{OrganizationId: "org_acme", NoteId: before})
	require.NoError(t, err)
	bobs.next("changed " + create(t, as(w, "usr_bob"), "Bob's", ""))
	adas.until("removed " + before)
	boss.until("removed " + before)
}

// Whatever changes while nobody listens is told to who goes on where they stopped.
func TestResuming(t *testing.T) { dbtest.EachURL(t, resuming) }

func resuming(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, user := range []string{"usr_ada", "usr_bob"} {
		for _, organization := range []string{"org_acme", "org_other"} {
			w.Allow(user, read, organization)
			w.Allow(user, write, organization)
		}
	}
	ada := as(w, "usr_ada")
	first := watch(t, ada, "")
	kept := create(t, ada, "Kept", "")
	token := first.next("changed " + kept).GetResumeToken()
	first.close()

	// More than is looked at in one go, from several callers at once, one of which goes on.
	second := watch(t, ada, token)
	var mu sync.Mutex
	var want []string
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 15 {
				created, err := ada.CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: "One of many"})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want = append(want, "changed "+created.GetNote().GetId())
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	third := watch(t, ada, token)
	for _, each := range []*watched{second, third} {
		var got []string
		for range want {
			got = append(got, event(each.receive()))
		}
		require.ElementsMatch(t, want, got, "each is told, and once")
		each.close()
	}

	// A token is its caller's, and of its organization.
	for name, test := range map[string]struct {
		who          notesv1connect.NoteServiceClient
		organization string
		token        string
	}{
		"another caller":       {as(w, "usr_bob"), "org_acme", token},
		"another organization": {ada, "org_other", token},
		"garbage":              {ada, "org_acme", "garbage"},
		"of a list":            {ada, "org_acme", pageToken(t, ada)},
	} {
		stream, err := test.who.WatchNotes(ctx, &notesv1.WatchNotesRequest{OrganizationId: test.organization, ResumeToken: test.token})
		require.NoError(t, err)
		_, err = stream.Receive()
		require.Equal(t, "INVALID_RESUME_TOKEN", rpcerror.Reason(err), name)
	}
	stream, err := ada.WatchNotes(ctx, &notesv1.WatchNotesRequest{
		OrganizationId: "org_acme", ResumeToken: page.Token([]string{"1", "1"}, "changes", "org_acme", "usr_ada", "false"),
	})
	require.NoError(t, err)
	_, err = stream.Receive()
	require.Equal(t, "RESUME_TOKEN_EXPIRED", rpcerror.Reason(err), "of 1970")

	// A token says up to when all was told, not when it was made: else one that is renewed would never expire, while
	// what it reaches back to is forgotten.
	filter := []string{"changes", "org_acme", "usr_ada", "false"}
	toldAt := func(stream notesv1connect.NoteServiceWatchNotesClientStream) (string, time.Time) {
		res, err := stream.Receive()
		require.NoError(t, err)
		keys, err := page.Parse(res.GetResumeToken(), 2, filter...)
		require.NoError(t, err)
		seconds, err := strconv.ParseInt(keys[1], 10, 64)
		require.NoError(t, err)
		return event(res), time.Unix(seconds, 0)
	}
	old := time.Now().Add(-6 * 24 * time.Hour).Truncate(time.Second)
	listening, stop := context.WithCancel(ctx)
	defer stop()
	stream, err = ada.WatchNotes(listening, &notesv1.WatchNotesRequest{
		OrganizationId: "org_acme", ResumeToken: page.Token([]string{"0", strconv.FormatInt(old.Unix(), 10)}, filter...),
	})
	require.NoError(t, err)
	for range 1 + 1 + len(want) { // the opening, what was kept, and the many
		what, told := toldAt(stream)
		require.Equal(t, old, told, what)
	}
	// The next change may be seen in the same look as the last of them, but the one after it is not.
	told := old
	for range 100 {
		create(t, ada, "Later", "")
		if _, told = toldAt(stream); told != old {
			break
		}
	}
	require.WithinDuration(t, time.Now(), told, time.Minute)

	// Who sees all begins anew.
	w.Allow("usr_ada", manage, "org_acme")
	stream, err = ada.WatchNotes(ctx, &notesv1.WatchNotesRequest{OrganizationId: "org_acme", ResumeToken: token})
	require.NoError(t, err)
	_, err = stream.Receive()
	require.Equal(t, "INVALID_RESUME_TOKEN", rpcerror.Reason(err))
}

// Two instances on one database.
func TestWatchingAnotherInstance(t *testing.T) { dbtest.EachURL(t, anotherInstance) }

func anotherInstance(t *testing.T, database config.Secret) {
	here, there := start(t, database), start(t, database)
	for _, w := range []*servicetest.World{here, there} {
		w.Allow("usr_ada", read, "org_acme")
		w.Allow("usr_ada", write, "org_acme")
	}
	watched := watch(t, as(here, "usr_ada"), "")
	for range 3 {
		note := create(t, as(there, "usr_ada"), "From afar", "")
		watched.next("changed " + note)
	}
}

func TestStreamsEnd(t *testing.T) {
	w := start(t, dbtest.SQLiteURL(t))
	for _, user := range []string{"usr_ada", "usr_bob", "usr_max"} {
		w.Allow(user, read, "org_acme")
		w.Allow(user, write, "org_acme")
	}
	w.Allow("usr_max", manage, "org_acme")
	ada := as(w, "usr_ada")
	adas, boss := watch(t, ada, ""), watch(t, as(w, "usr_max"), "")

	// Who may not read any more hears nothing more.
	w.Disallow("usr_ada", read, "org_acme")
	w.Disallow("usr_max", manage, "org_acme")
	create(t, ada, "Secret", "")
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(adas.end()))
	create(t, as(w, "usr_max"), "Own", "")
	require.Equal(t, "ACCESS_CHANGED", rpcerror.Reason(boss.end()))

	// Nor does who may not read at all begin.
	stream, err := as(w, "usr_out").WatchNotes(context.Background(), &notesv1.WatchNotesRequest{OrganizationId: "org_acme"})
	require.NoError(t, err)
	_, err = stream.Receive()
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err))
}

// A stream does not hold up the service's stop, and says that it is to be resumed.
func TestStreamsEndWhenTheServiceStops(t *testing.T) {
	var adas *watched
	t.Run("until it stops", func(inner *testing.T) {
		w := start(inner, dbtest.SQLiteURL(inner))
		w.Allow("usr_ada", read, "org_acme")
		adas = watch(t, as(w, "usr_ada"), "")
	})
	err := adas.end()
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	require.Equal(t, rpcerror.ReasonServiceUnavailable, rpcerror.Reason(err))
}

// watched is an open stream.
type watched struct {
	t      *testing.T
	stream notesv1connect.NoteServiceWatchNotesClientStream
	cancel context.CancelFunc
}

// watch opens a stream, and waits until it is open.
func watch(t *testing.T, as notesv1connect.NoteServiceClient, token string) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := as.WatchNotes(ctx, &notesv1.WatchNotesRequest{OrganizationId: "org_acme", ResumeToken: token})
	require.NoError(t, err)
	w := &watched{t: t, stream: stream, cancel: cancel}
	t.Cleanup(w.close)
	opened, err := stream.Receive()
	require.NoError(t, err)
	require.Equal(t, "nothing", event(opened))
	return w
}

func (w *watched) close() {
	w.cancel()
	_ = w.stream.Close()
}

// receive returns the next message with a change.
func (w *watched) receive() *notesv1.WatchNotesResponse {
	w.t.Helper()
	for {
		res, err := w.stream.Receive()
		require.NoError(w.t, err)
		require.NotEmpty(w.t, res.GetResumeToken())
		if res.GetChange() != nil {
			return res
		}
	}
}

// next requires what comes next.
func (w *watched) next(want string) *notesv1.WatchNotesResponse {
	w.t.Helper()
	res := w.receive()
	require.Equal(w.t, want, event(res))
	return res
}

// until goes on to what is wanted.
func (w *watched) until(want string) {
	w.t.Helper()
	for event(w.receive()) != want {
		continue
	}
}

// end returns with what the stream ends.
func (w *watched) end() error {
	for {
		res, err := w.stream.Receive()
		if err != nil {
			return err
		}
		require.Nil(w.t, res.GetChange())
	}
}

func event(res *notesv1.WatchNotesResponse) string {
	switch change := res.GetChange().(type) {
	case *notesv1.WatchNotesResponse_Note:
		return "changed " + change.Note.GetId()
	case *notesv1.WatchNotesResponse_RemovedNoteId:
		return "removed " + change.RemovedNoteId
	default:
		return "nothing"
	}
}

func pageToken(t *testing.T, as notesv1connect.NoteServiceClient) string {
	t.Helper()
	res, err := as.ListNotes(context.Background(), &notesv1.ListNotesRequest{OrganizationId: "org_acme", PageSize: 1})
	require.NoError(t, err)
	return res.GetNextPageToken()
}
