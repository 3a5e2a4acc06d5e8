package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/notes/ent"
)

// ShareNote implements acme.notes.v1.NoteService.
func (h *Notes) ShareNote(ctx context.Context, req *notesv1.ShareNoteRequest) (*notesv1.ShareNoteResponse, error) {
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	// Not within the transaction: it would wait for another service.
	if err := h.people.check(ctx, req.GetUserId()); err != nil {
		return nil, err
	}
	shared, err := h.store.Share(ctx, viewer, req.GetNoteId(), req.GetUserId())
	if err != nil {
		return nil, answer(err)
	}
	return &notesv1.ShareNoteResponse{Share: shareMessage(shared)}, nil
}

// UnshareNote implements acme.notes.v1.NoteService.
func (h *Notes) UnshareNote(ctx context.Context, req *notesv1.UnshareNoteRequest) (*notesv1.UnshareNoteResponse, error) {
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if err := h.store.Unshare(ctx, viewer, req.GetNoteId(), req.GetUserId()); err != nil {
		return nil, answer(err)
	}
	return &notesv1.UnshareNoteResponse{}, nil
}

// ListShares implements acme.notes.v1.NoteService.
func (h *Notes) ListShares(ctx context.Context, req *notesv1.ListSharesRequest) (*notesv1.ListSharesResponse, error) {
	cursor, err := page.Open(req, "shares", req.GetOrganizationId(), req.GetNoteId())
	if err != nil {
		return nil, err
	}
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Shares(ctx, viewer, req.GetNoteId(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, answer(err)
	}
	found, next := page.Close(cursor, found, func(s *ent.Share) string { return s.ID })
	res := &notesv1.ListSharesResponse{NextPageToken: next}
	for _, s := range found {
		res.Shares = append(res.Shares, shareMessage(s))
	}
	return res, nil
}

func shareMessage(s *ent.Share) *notesv1.Share {
	return &notesv1.Share{NoteId: s.NoteID, UserId: s.UserID, SharedAt: timestamppb.New(s.CreatedAt)}
}
