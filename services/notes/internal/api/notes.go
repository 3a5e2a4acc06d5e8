package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/internal/store"
)

// Notes implements acme.notes.v1.NoteService.
type Notes struct{ store *store.Store }

// NewNotes returns the handler over a store.
func NewNotes(s *store.Store) *Notes { return &Notes{s} }

// CreateNote implements acme.notes.v1.NoteService.
func (h *Notes) CreateNote(ctx context.Context, req *notesv1.CreateNoteRequest) (*notesv1.CreateNoteResponse, error) {
	caller := authn.FromContext(ctx).UserID
	created, err := h.store.CreateNote(ctx, store.NewNote{
		OrganizationID: req.GetOrganizationId(), DisplayName: req.GetDisplayName(), Description: req.GetDescription(),
		CreatedBy: caller, RequestKey: requestKey(req.GetOrganizationId(), caller, req.GetRequestId()),
	})
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.CreateNoteResponse{Note: noteMessage(created)}, nil
}

// GetNote implements acme.notes.v1.NoteService.
func (h *Notes) GetNote(ctx context.Context, req *notesv1.GetNoteRequest) (*notesv1.GetNoteResponse, error) {
	found, err := h.store.Note(ctx, req.GetOrganizationId(), req.GetNoteId())
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.GetNoteResponse{Note: noteMessage(found)}, nil
}

// ListNotes implements acme.notes.v1.NoteService.
func (h *Notes) ListNotes(ctx context.Context, req *notesv1.ListNotesRequest) (*notesv1.ListNotesResponse, error) {
	cursor, err := page.Open(req, "notes", req.GetOrganizationId(), req.GetCreatedBy())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Notes(ctx, req.GetOrganizationId(), req.GetCreatedBy(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(row *ent.Note) string { return row.ID })
	res := &notesv1.ListNotesResponse{NextPageToken: next}
	for _, row := range found {
		res.Notes = append(res.Notes, noteMessage(row))
	}
	return res, nil
}

// UpdateNote implements acme.notes.v1.NoteService.
func (h *Notes) UpdateNote(ctx context.Context, req *notesv1.UpdateNoteRequest) (*notesv1.UpdateNoteResponse, error) {
	changes, err := noteChanges(req)
	if err != nil {
		return nil, err
	}
	wanted := req.GetNote()
	changed, err := h.store.UpdateNote(ctx, wanted.GetOrganizationId(), wanted.GetId(), wanted.GetVersion(), changes)
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.UpdateNoteResponse{Note: noteMessage(changed)}, nil
}

// DeleteNote implements acme.notes.v1.NoteService.
func (h *Notes) DeleteNote(ctx context.Context, req *notesv1.DeleteNoteRequest) (*notesv1.DeleteNoteResponse, error) {
	if err := h.store.DeleteNote(ctx, req.GetOrganizationId(), req.GetNoteId(), req.GetVersion()); err != nil {
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

func noteMessage(row *ent.Note) *notesv1.Note {
	return &notesv1.Note{
		Id: row.ID, OrganizationId: row.OrganizationID, DisplayName: row.DisplayName, Description: row.Description,
		CreatedBy: row.CreatedBy, Version: row.Version,
		CreatedAt: timestamppb.New(row.CreatedAt), UpdatedAt: timestamppb.New(row.UpdatedAt),
	}
}
