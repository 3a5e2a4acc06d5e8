package notes_test

import (
	"context"
	"fmt"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
)

func TestSharing(t *testing.T) { dbtest.EachURL(t, sharing) }

func sharing(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, user := range []string{"usr_ada", "usr_bob", "usr_eve", "usr_max"} {
		w.Allow(user, read, "org_acme")
		w.Allow(user, write, "org_acme")
	}
	w.Allow("usr_max", manage, "org_acme")
	ada, bob, eve, boss := as(w, "usr_ada"), as(w, "usr_bob"), as(w, "usr_eve"), as(w, "usr_max")
	note := create(t, ada, "Plan", "Buy stones.")
	get := &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: note}
	share := &notesv1.ShareNoteRequest{OrganizationId: "org_acme", NoteId: note, UserId: "usr_bob"}
	shares := &notesv1.ListSharesRequest{OrganizationId: "org_acme", NoteId: note, PageSize: 1}

	// Nobody else sees it, except who sees all.
	_, err := bob.GetNote(ctx, get)
	require.Equal(t, "NOTE_NOT_FOUND", rpcerror.Reason(err))
	_, err = bob.ShareNote(ctx, share)
	require.Equal(t, "NOTE_NOT_FOUND", rpcerror.Reason(err), "nobody lets themselves in")
	_, err = bob.ListShares(ctx, shares)
	require.Equal(t, "NOTE_NOT_FOUND", rpcerror.Reason(err))
	_, err = boss.GetNote(ctx, get)
	require.NoError(t, err)

	for range 2 {
		shared, err := ada.ShareNote(ctx, share)
		require.NoError(t, err)
		require.Equal(t, "usr_bob", shared.GetShare().GetUserId())
	}
	event := w.AwaitEvent(servicetest.Action("note.share"))
	require.Equal(t, "usr_bob", event.GetAttributes()["user_id"])
	require.Equal(t, note, event.GetResource())
	_, err = ada.ShareNote(ctx, &notesv1.ShareNoteRequest{OrganizationId: "org_acme", NoteId: note, UserId: "usr_nobody"})
	require.Equal(t, "USER_NOT_FOUND", rpcerror.Reason(err))

	// Bob sees it now, and no more than that; Eve still does not.
	_, err = bob.GetNote(ctx, get)
	require.NoError(t, err)
	list, err := bob.ListNotes(ctx, &notesv1.ListNotesRequest{OrganizationId: "org_acme"})
	require.NoError(t, err)
	require.Len(t, list.GetNotes(), 1)
	_, err = eve.GetNote(ctx, get)
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	share.UserId = "usr_eve"
	for name, call := range map[string]func() error{
		"update": func() error {
			_, err := bob.UpdateNote(ctx, update("org_acme", note, 0, "title"))
			return err
		},
		"delete": func() error {
			_, err := bob.DeleteNote(ctx, &notesv1.DeleteNoteRequest{OrganizationId: "org_acme", NoteId: note})
			return err
		},
		"share": func() error {
			_, err := bob.ShareNote(ctx, share)
			return err
		},
		"unshare": func() error {
			_, err := bob.UnshareNote(ctx, &notesv1.UnshareNoteRequest{OrganizationId: "org_acme", NoteId: note, UserId: "usr_eve"})
			return err
		},
		"list shares": func() error {
			_, err := bob.ListShares(ctx, shares)
			return err
		},
	} {
		err := call()
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), name)
		require.Equal(t, "NOTE_NOT_YOURS", rpcerror.Reason(err), name)
	}

	// What was tried is on the record.
	for _, action := range []string{"note.update", "note.delete", "note.share", "note.unshare"} {
		event := w.AwaitEvent(func(e *auditv1.Event) bool {
			return e.GetAction() == action && e.GetOutcome() == auditv1.Outcome_OUTCOME_DENIED
		})
		require.Equal(t, "NOTE_NOT_YOURS", event.GetReason())
		require.Equal(t, "usr_bob", event.GetActor().GetId())
		require.Equal(t, note, event.GetResource())
		require.Equal(t, "org_acme", event.GetOrganizationId())
	}

	// Who sees all also changes all.
	_, err = boss.ShareNote(ctx, share)
	require.NoError(t, err)
	first, err := ada.ListShares(ctx, shares)
	require.NoError(t, err)
	require.Equal(t, "usr_bob", first.GetShares()[0].GetUserId())
	shares.PageToken = first.GetNextPageToken()
	second, err := ada.ListShares(ctx, shares)
	require.NoError(t, err)
	require.Equal(t, "usr_eve", second.GetShares()[0].GetUserId())
	require.Empty(t, second.GetNextPageToken())

	for range 2 {
		_, err = ada.UnshareNote(ctx, &notesv1.UnshareNoteRequest{OrganizationId: "org_acme", NoteId: note, UserId: "usr_bob"})
		require.NoError(t, err)
	}
	w.AwaitEvent(func(e *auditv1.Event) bool {
		return e.GetAction() == "note.unshare" && e.GetOutcome() == auditv1.Outcome_OUTCOME_SUCCESS
	})
	_, err = bob.GetNote(ctx, get)
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))

	// Being let in ends where the permission does: a share in an organization gives nothing to strangers.
	_, err = as(w, "usr_out").GetNote(ctx, get)
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err))
	_, err = ada.DeleteNote(ctx, &notesv1.DeleteNoteRequest{OrganizationId: "org_acme", NoteId: note})
	require.NoError(t, err)
	_, err = eve.GetNote(ctx, get)
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}

func TestTooManyShares(t *testing.T) { dbtest.EachURL(t, tooManyShares) }

func tooManyShares(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	w.Allow("usr_ada", write, "org_acme")
	ada := as(w, "usr_ada")
	share := &notesv1.ShareNoteRequest{OrganizationId: "org_acme", NoteId: create(t, ada, "Plan", "")}
	for i := range 100 {
		share.UserId = fmt.Sprintf("usr_%d", i)
		_, err := ada.ShareNote(ctx, share)
		require.NoError(t, err)
	}
	share.UserId = "usr_more"
	_, err := ada.ShareNote(ctx, share)
	require.Equal(t, "TOO_MANY_SHARES", rpcerror.Reason(err))
	share.UserId = "usr_7"
	_, err = ada.ShareNote(ctx, share)
	require.NoError(t, err, "who has it keeps it")
}
