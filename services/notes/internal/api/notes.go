package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/internal/feed"
	"ashlar.dev/services/notes/internal/store"
)

// Notes implements acme.notes.v1.NoteService.
type Notes struct {
	store   *store.Store
	people  *People
	decider access.Decider
	feed    *feed.Feed
}

// NewNotes returns the handler over a store. feed is told of the store's changes.
func NewNotes(s *store.Store, people *People, decider access.Decider, f *feed.Feed) *Notes {
	return &Notes{store: s, people: people, decider: decider, feed: f}
}

// CreateNote implements acme.notes.v1.NoteService.
func (h *Notes) CreateNote(ctx context.Context, req *notesv1.CreateNoteRequest) (*notesv1.CreateNoteResponse, error) {
	caller := authn.FromContext(ctx).UserID
	created, err := h.store.CreateNote(ctx, store.NewNote{
		OrganizationID: req.GetOrganizationId(), OwnerID: caller, Title: req.GetTitle(), Body: req.GetBody(),
		RequestKey: requestKey(req.GetOrganizationId(), caller, req.GetRequestId()),
	})
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.CreateNoteResponse{Note: noteMessage(created)}, nil
}

// GetNote implements acme.notes.v1.NoteService.
func (h *Notes) GetNote(ctx context.Context, req *notesv1.GetNoteRequest) (*notesv1.GetNoteResponse, error) {
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Note(ctx, viewer, req.GetNoteId())
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.GetNoteResponse{Note: noteMessage(found)}, nil
}

// ListNotes implements acme.notes.v1.NoteService.
func (h *Notes) ListNotes(ctx context.Context, req *notesv1.ListNotesRequest) (*notesv1.ListNotesResponse, error) {
	cursor, err := page.Open(req, "notes", authn.FromContext(ctx).UserID, req.GetOrganizationId(), req.GetOwnerId())
	if err != nil {
		return nil, err
	}
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Notes(ctx, viewer, req.GetOwnerId(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	notes, next := messages(cursor, found)
	return &notesv1.ListNotesResponse{Notes: notes, NextPageToken: next}, nil
}

// UpdateNote implements acme.notes.v1.NoteService.
func (h *Notes) UpdateNote(ctx context.Context, req *notesv1.UpdateNoteRequest) (*notesv1.UpdateNoteResponse, error) {
	changes, err := noteChanges(req)
	if err != nil {
		return nil, err
	}
	wanted := req.GetNote()
	viewer, err := h.viewer(ctx, wanted.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	changed, err := h.store.UpdateNote(ctx, viewer, wanted.GetId(), wanted.GetVersion(), changes)
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.UpdateNoteResponse{Note: noteMessage(changed)}, nil
}

// DeleteNote implements acme.notes.v1.NoteService.
func (h *Notes) DeleteNote(ctx context.Context, req *notesv1.DeleteNoteRequest) (*notesv1.DeleteNoteResponse, error) {
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if err := h.store.DeleteNote(ctx, viewer, req.GetNoteId(), req.GetVersion()); err != nil {
		return nil, answer(err)
	}
	return &notesv1.DeleteNoteResponse{}, nil
}

// requestKey makes a client's request_id unique to the client and the organization; empty where the client gave none.
func requestKey(organizationID, caller, requestID string) string {
	if requestID == "" {
		return ""
	}
	return organizationID + ":" + caller + ":" + requestID
}

// maxAnswerBytes bounds the notes of one answer, in binary: as JSON they can take several times as much, and callers
// accept no more than rpc.MaxMessageBytes.
const maxAnswerBytes = 512 << 10

// messages returns a page of notes: as many as there are to be, and fewer where they are long.
func messages(cursor page.Cursor, found []*ent.Note) ([]*notesv1.Note, string) {
	var out []*notesv1.Note
	total := 0
	for _, row := range found {
		total += len(row.Title) + len(row.Body)
		if len(out) == cursor.Limit()-1 || len(out) > 0 && total > maxAnswerBytes {
			return out, cursor.Token(out[len(out)-1].GetId())
		}
		out = append(out, noteMessage(row))
	}
	return out, ""
}

func noteMessage(row *ent.Note) *notesv1.Note {
	return &notesv1.Note{
		Id: row.ID, OrganizationId: row.OrganizationID, Title: row.Title, Body: row.Body, OwnerId: row.OwnerID, Version: row.Version,
		CreatedAt: timestamppb.New(row.CreatedAt), UpdatedAt: timestamppb.New(row.UpdatedAt),
	}
}
