package notes_test

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/gen/go/permissions/notesperms"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/services/notes"
)

const (
	read   = string(notesperms.NoteRead)
	write  = string(notesperms.NoteWrite)
	manage = string(notesperms.NoteManage)
)

func TestFromCreationToDeletion(t *testing.T) { dbtest.EachURL(t, life) }

func life(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	w.Allow("usr_ada", read, "org_acme")
	w.Allow("usr_ada", write, "org_acme")
	ada := as(w, "usr_ada")

	// Creating again with the same request id gives the same note.
	req := &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: "One", Body: "The first.", RequestId: "once"}
	created, err := ada.CreateNote(ctx, req)
	require.NoError(t, err)
	again, err := ada.CreateNote(ctx, req)
	require.NoError(t, err)
	one := created.GetNote()
	require.Equal(t, one.GetId(), again.GetNote().GetId())
	require.Equal(t, "usr_ada", one.GetOwnerId())
	require.EqualValues(t, 1, one.GetVersion())
	event := w.AwaitEvent(servicetest.Action("note.create"))
	require.Equal(t, one.GetId(), event.GetResource())
	require.Equal(t, "org_acme", event.GetOrganizationId())
	require.Equal(t, "usr_ada", event.GetActor().GetId())

	found, err := ada.GetNote(ctx, &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: one.GetId()})
	require.NoError(t, err)
	require.Equal(t, "The first.", found.GetNote().GetBody())
	require.Equal(t, one.GetCreatedAt().AsTime(), found.GetNote().GetCreatedAt().AsTime())

	// An update changes what its mask names, and counts.
	changed, err := ada.UpdateNote(ctx, update("org_acme", one.GetId(), 1, "title"))
	require.NoError(t, err)
	require.Equal(t, "Changed", changed.GetNote().GetTitle())
	require.Equal(t, "The first.", changed.GetNote().GetBody())
	require.EqualValues(t, 2, changed.GetNote().GetVersion())
	w.AwaitEvent(servicetest.Action("note.update"))
	changed, err = ada.UpdateNote(ctx, update("org_acme", one.GetId(), 0, "*"))
	require.NoError(t, err, "without a version, whatever it is")
	require.Empty(t, changed.GetNote().GetBody())

	// Who has seen an old version changes nothing.
	_, err = ada.UpdateNote(ctx, update("org_acme", one.GetId(), 1, "title"))
	require.Equal(t, connect.CodeAborted, connect.CodeOf(err))
	require.Equal(t, "NOTE_CHANGED", rpcerror.Reason(err))
	remove := &notesv1.DeleteNoteRequest{OrganizationId: "org_acme", NoteId: one.GetId(), Version: 2}
	_, err = ada.DeleteNote(ctx, remove)
	require.Equal(t, "NOTE_CHANGED", rpcerror.Reason(err))

	remove.Version = 3
	_, err = ada.DeleteNote(ctx, remove)
	require.NoError(t, err)
	require.Equal(t, one.GetId(), w.AwaitEvent(servicetest.Action("note.delete")).GetResource())
	_, err = ada.DeleteNote(ctx, remove)
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	require.Equal(t, "NOTE_NOT_FOUND", rpcerror.Reason(err))
}

func TestLists(t *testing.T) { dbtest.EachURL(t, lists) }

func lists(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, user := range []string{"usr_ada", "usr_bob"} {
		w.Allow(user, read, "org_acme")
		w.Allow(user, write, "org_acme")
	}
	w.Allow("usr_ada", manage, "org_acme")
	w.Allow("usr_ada", read, "org_other")
	var want []string
	for _, user := range []string{"usr_ada", "usr_bob", "usr_ada"} {
		created, err := as(w, user).CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: user})
		require.NoError(t, err)
		want = append(want, created.GetNote().GetId())
	}
	ada := as(w, "usr_ada")
	all := func(req *notesv1.ListNotesRequest) (ids []string) {
		for {
			res, err := ada.ListNotes(ctx, req)
			require.NoError(t, err)
			require.LessOrEqual(t, len(res.GetNotes()), 1)
			for _, each := range res.GetNotes() {
				ids = append(ids, each.GetId())
			}
			if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
				return ids
			}
		}
	}
	require.Equal(t, want, all(&notesv1.ListNotesRequest{OrganizationId: "org_acme", PageSize: 1}))
	require.Equal(t, []string{want[0], want[2]}, all(&notesv1.ListNotesRequest{OrganizationId: "org_acme", PageSize: 1, OwnerId: "usr_ada"}))
	require.Empty(t, all(&notesv1.ListNotesRequest{OrganizationId: "org_other", PageSize: 1}))

	// Without the permission to see all, each sees their own.
	bobs, err := as(w, "usr_bob").ListNotes(ctx, &notesv1.ListNotesRequest{OrganizationId: "org_acme"})
	require.NoError(t, err)
	require.Len(t, bobs.GetNotes(), 1)
	require.Equal(t, want[1], bobs.GetNotes()[0].GetId())

	// A token is good for the list that it was made for.
	first, err := ada.ListNotes(ctx, &notesv1.ListNotesRequest{OrganizationId: "org_acme", PageSize: 1})
	require.NoError(t, err)
	for name, req := range map[string]*notesv1.ListNotesRequest{
		"another organization": {OrganizationId: "org_other", PageToken: first.GetNextPageToken()},
		"another filter":       {OrganizationId: "org_acme", OwnerId: "usr_bob", PageToken: first.GetNextPageToken()},
		"garbage":              {OrganizationId: "org_acme", PageToken: "garbage"},
	} {
		_, err = ada.ListNotes(ctx, req)
		require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err), name)
	}
	_, err = as(w, "usr_bob").ListNotes(ctx, &notesv1.ListNotesRequest{OrganizationId: "org_acme", PageToken: first.GetNextPageToken()})
	require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err), "another caller")
}

// Long notes make short pages: an answer must not be larger than what callers accept.
func TestListsOfLongNotes(t *testing.T) { dbtest.EachURL(t, longNotes) }

func longNotes(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	w.Allow("usr_ada", read, "org_acme")
	w.Allow("usr_ada", write, "org_acme")
	ada := as(w, "usr_ada")
	const many = 30
	for range many {
		create(t, ada, "Long", strings.Repeat("\x01ä ", 6_666))
	}
	req, seen, pages := &notesv1.ListNotesRequest{OrganizationId: "org_acme"}, map[string]bool{}, 0
	for done := false; !done; pages++ {
		res, err := ada.ListNotes(ctx, req)
		require.NoError(t, err)
		require.Less(t, proto.Size(res), 600<<10)
		for _, note := range res.GetNotes() {
			seen[note.GetId()] = true
		}
		req.PageToken = res.GetNextPageToken()
		done = req.GetPageToken() == ""
	}
	require.Len(t, seen, many)
	require.Equal(t, 1+many*6_666*4/(512<<10), pages)
}

func TestWhoIsRefused(t *testing.T) { dbtest.EachURL(t, refusals) }

func refusals(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	w.Allow("usr_ada", write, "org_acme")
	created, err := as(w, "usr_ada").CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: "One"})
	require.NoError(t, err)
	one := created.GetNote().GetId()

	// Reading is not writing, and one organization is not another; the refusal is on the record.
	w.Allow("usr_eve", read, "org_acme")
	w.Allow("usr_eve", read, "org_evil")
	w.Allow("usr_eve", write, "org_evil")
	eve := as(w, "usr_eve")
	_, err = eve.UpdateNote(ctx, update("org_acme", one, 0, "title"))
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.Equal(t, write, rpcerror.Info(err).GetMetadata()["permission"])
	denied := w.AwaitEvent(servicetest.Action("access.deny"))
	require.Equal(t, "usr_eve", denied.GetActor().GetId())
	require.Equal(t, "org_acme", denied.GetOrganizationId())

	// What belongs to another organization is not there.
	_, err = eve.GetNote(ctx, &notesv1.GetNoteRequest{OrganizationId: "org_evil", NoteId: one})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = eve.UpdateNote(ctx, update("org_evil", one, 0, "title"))
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = eve.DeleteNote(ctx, &notesv1.DeleteNoteRequest{OrganizationId: "org_evil", NoteId: one})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))

	_, err = notesv1connect.NewNoteServiceClient(w.Anonymous("notes")).GetNote(ctx, &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: one})
	require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
}

func TestWhatIsNotTaken(t *testing.T) {
	ctx, w := context.Background(), start(t, dbtest.SQLiteURL(t))
	w.Allow("usr_ada", write, "")
	ada := as(w, "usr_ada")
	for name, req := range map[string]*notesv1.CreateNoteRequest{
		"no organization":      {Title: "a"},
		"no title":             {OrganizationId: "org_acme"},
		"a long title":         {OrganizationId: "org_acme", Title: strings.Repeat("ä", 201)},
		"a title of two lines": {OrganizationId: "org_acme", Title: "a\nb"},
		"a long body":          {OrganizationId: "org_acme", Title: "a", Body: strings.Repeat("ä", 20_001)},
		"a NUL":                {OrganizationId: "org_acme", Title: "a", Body: "a\x00b"},
		"a long request id":    {OrganizationId: "org_acme", Title: "a", RequestId: strings.Repeat("r", 65)},
		"a strange request id": {OrganizationId: "org_acme", Title: "a", RequestId: "é"},
	} {
		_, err := ada.CreateNote(ctx, req)
		require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err), name)
	}
	for _, mask := range [][]string{{"id"}, {"version"}, {}} {
		_, err := ada.UpdateNote(ctx, update("org_acme", "note_1", 0, mask...))
		require.Equal(t, rpcerror.ReasonUnsupportedUpdateMask, rpcerror.Reason(err), "%v", mask)
	}
	unnamed := update("org_acme", "note_1", 0, "title")
	unnamed.Note.Title = ""
	_, err := ada.UpdateNote(ctx, unnamed)
	require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err))
}

func update(organization, id string, version int64, mask ...string) *notesv1.UpdateNoteRequest {
	return &notesv1.UpdateNoteRequest{
		Note:       &notesv1.Note{OrganizationId: organization, Id: id, Title: "Changed", Version: version},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
	}
}

func start(t *testing.T, database config.Secret) *servicetest.World {
	t.Helper()
	w := servicetest.New(t)
	w.Peer("identity", func(s *connect.Server) { identityv1connect.RegisterAccountServiceHandler(s, accounts{}) })
	w.Start(notes.Module(), database)
	return w
}

// accounts stands in for identity: it knows everybody but nobody.
type accounts struct {
	identityv1connect.UnimplementedAccountServiceHandler
}

func (accounts) LookupAccount(_ context.Context, req *identityv1.LookupAccountRequest) (*identityv1.LookupAccountResponse, error) {
	if req.GetUserId() == "usr_nobody" {
		return nil, connect.NewError(connect.CodeNotFound, "no such user")
	}
	return &identityv1.LookupAccountResponse{}, nil
}

func as(w *servicetest.World, userID string) notesv1connect.NoteServiceClient {
	return notesv1connect.NewNoteServiceClient(w.As(userID, "notes"))
}
