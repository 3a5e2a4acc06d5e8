package dev_test

import (
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/allinone/ashlartest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	"ashlar.dev/gen/go/permissions/notesperms"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/notes"
)

// Notes among the real services, called through the gateway.
func TestNotes(t *testing.T) {
	t.Parallel()
	p := ashlartest.Start(t, notes.Module())
	acme, other := p.Organization(t, "Acme"), p.Organization(t, "Other")
	ada := p.SignIn(t, ashlartest.Role(string(notesperms.RoleEditor), acme))
	bob := p.SignIn(t, ashlartest.Role(string(notesperms.RoleViewer), acme))
	adas, bobs := notesv1connect.NewNoteServiceClient(ada.Client()), notesv1connect.NewNoteServiceClient(bob.Client())

	// Bob watches from before there is anything.
	stream, err := bobs.WatchNotes(t.Context(), &notesv1.WatchNotesRequest{OrganizationId: acme})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	_, err = stream.Receive()
	require.NoError(t, err)

	created, err := adas.CreateNote(t.Context(), &notesv1.CreateNoteRequest{OrganizationId: acme, Title: "Plan", Body: "Granite for the wall."})
	require.NoError(t, err)
	note := created.GetNote().GetId()
	event := p.AwaitEvent(t, ashlartest.Action("note.create"))
	require.Equal(t, note, event.GetResource())
	require.Equal(t, ada.UserID, event.GetActor().GetId())
	get := &notesv1.GetNoteRequest{OrganizationId: acme, NoteId: note}
	_, err = bobs.GetNote(t.Context(), get)
	require.Equal(t, "NOTE_NOT_FOUND", rpcerror.Reason(err), "it is Ada's")

	_, err = adas.ShareNote(t.Context(), &notesv1.ShareNoteRequest{OrganizationId: acme, NoteId: note, UserId: "usr_nobody"})
	require.Equal(t, "USER_NOT_FOUND", rpcerror.Reason(err), "the real identity does not know everybody")
	_, err = adas.ShareNote(t.Context(), &notesv1.ShareNoteRequest{OrganizationId: acme, NoteId: note, UserId: bob.UserID})
	require.NoError(t, err)
	heard, err := stream.Receive()
	require.NoError(t, err)
	require.Equal(t, "Granite for the wall.", heard.GetNote().GetBody())
	found, err := bobs.SearchNotes(t.Context(), &notesv1.SearchNotesRequest{OrganizationId: acme, Query: "granite"})
	require.NoError(t, err)
	require.Len(t, found.GetNotes(), 1)

	_, err = bobs.CreateNote(t.Context(), &notesv1.CreateNoteRequest{OrganizationId: acme, Title: "Mine"})
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err), "who reads does not write")
	_, err = adas.CreateNote(t.Context(), &notesv1.CreateNoteRequest{OrganizationId: other, Title: "Mine"})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "and not elsewhere")
	_, err = notesv1connect.NewNoteServiceClient(p.Anonymous()).GetNote(t.Context(), get)
	require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
}
