package notes_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
)

func TestSearch(t *testing.T) { dbtest.EachURL(t, search) }

func search(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, user := range []string{"usr_ada", "usr_bob"} {
		for _, organization := range []string{"org_acme", "org_other"} {
			w.Allow(user, read, organization)
			w.Allow(user, write, organization)
		}
	}
	ada := as(w, "usr_ada")
	stones := create(t, ada, "Stones", "Granite and marble, for the wall.")
	mail := create(t, ada, "Mail", "Write to mason@granite.example about well-cut blocks: AND OR NOT \"*'")
	hidden := create(t, as(w, "usr_bob"), "Bob's", "Granite is too dear.")
	elsewhere, err := ada.CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_other", Title: "Granite"})
	require.NoError(t, err)

	for query, want := range map[string][]string{
		"granite":           {mail, stones}, // the newest first
		"GRAN":              {mail, stones}, // words may be begun only, in either case
		"granite wall":      {stones},
		"stones, marble!":   {stones}, // in title or body
		"mason":             {mail},   // part of an address
		"cut":               {mail},
		"ranite":            nil, // not from the middle
		"granite nonsense":  nil,
		"AND":               {mail, stones}, // a word like others
		`gran" OR "marble`:  nil,            // what means something to the database is a word, or nothing
		"granite') OR 1=1-": nil,
		"org_acme":          nil,
		"title:granite":     nil,
	} {
		require.Equal(t, want, found(t, ada, "org_acme", query), query)
	}
	require.Equal(t, []string{elsewhere.GetNote().GetId()}, found(t, ada, "org_other", "granite"))

	// What is shared is found, and not any more after that; changes and deletions are seen at once.
	_, err = as(w, "usr_bob").ShareNote(ctx, &notesv1.ShareNoteRequest{OrganizationId: "org_acme", NoteId: hidden, UserId: "usr_ada"})
	require.NoError(t, err)
	require.Equal(t, []string{hidden, mail, stones}, found(t, ada, "org_acme", "granite"))
	_, err = as(w, "usr_bob").UnshareNote(ctx, &notesv1.UnshareNoteRequest{OrganizationId: "org_acme", NoteId: hidden, UserId: "usr_ada"})
	require.NoError(t, err)
	_, err = ada.UpdateNote(ctx, update("org_acme", mail, 0, "body"))
	require.NoError(t, err)
	require.Equal(t, []string{stones}, found(t, ada, "org_acme", "granite"))
	_, err = ada.DeleteNote(ctx, &notesv1.DeleteNoteRequest{OrganizationId: "org_acme", NoteId: stones})
	require.NoError(t, err)
	require.Empty(t, found(t, ada, "org_acme", "granite"))

	for _, query := range []string{"", "...", "a b c d e f g h i j k"} {
		_, err = ada.SearchNotes(ctx, &notesv1.SearchNotesRequest{OrganizationId: "org_acme", Query: query})
		require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err), query)
	}
	_, err = as(w, "usr_out").SearchNotes(ctx, &notesv1.SearchNotesRequest{OrganizationId: "org_acme", Query: "granite"})
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err))
}

// found returns the ids of all notes that a search finds, looked up page by page.
func found(t *testing.T, as notesv1connect.NoteServiceClient, organization, query string) (ids []string) {
	t.Helper()
	req := &notesv1.SearchNotesRequest{OrganizationId: organization, Query: query, PageSize: 1}
	for {
		res, err := as.SearchNotes(context.Background(), req)
		require.NoError(t, err, query)
		for _, note := range res.GetNotes() {
			ids = append(ids, note.GetId())
		}
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			return ids
		}
	}
}

func create(t *testing.T, as notesv1connect.NoteServiceClient, title, body string) string {
	t.Helper()
	created, err := as.CreateNote(context.Background(), &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: title, Body: body})
	require.NoError(t, err)
	return created.GetNote().GetId()
}
