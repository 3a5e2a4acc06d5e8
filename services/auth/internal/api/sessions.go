package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/internal/store"
)

// Sessions implements ashlar.auth.v1.SessionService. It asks for a live session, not only for a good access token: who was
// signed out elsewhere must not sign out others.
type Sessions struct{ store *store.Store }

// NewSessions returns the handler over a store.
func NewSessions(s *store.Store) *Sessions { return &Sessions{s} }

// ListSessions implements ashlar.auth.v1.SessionService.
func (h *Sessions) ListSessions(ctx context.Context, req *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	caller := authn.FromContext(ctx)
	cursor, err := page.Open(req, "sessions", caller.UserID)
	if err != nil {
		return nil, err
	}
	if _, err := h.store.LiveSession(ctx, caller.UserID, caller.SessionID); err != nil {
		return nil, answer(err, "")
	}
	found, err := h.store.LiveSessions(ctx, caller.UserID, cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(s *ent.Session) string { return s.ID })
	res := &authv1.ListSessionsResponse{NextPageToken: next}
	for _, s := range found {
		res.Sessions = append(res.Sessions, &authv1.Session{
			Id: s.ID, CreatedAt: timestamppb.New(s.CreatedAt), RefreshedAt: timestamppb.New(s.RefreshedAt),
			ExpiresAt: timestamppb.New(s.ExpiresAt), Current: s.ID == caller.SessionID,
		})
	}
	return res, nil
}

// RevokeSession implements ashlar.auth.v1.SessionService.
func (h *Sessions) RevokeSession(ctx context.Context, req *authv1.RevokeSessionRequest) (*authv1.RevokeSessionResponse, error) {
	caller := authn.FromContext(ctx)
	if _, err := h.store.LiveSession(ctx, caller.UserID, caller.SessionID); err != nil {
		return nil, answer(err, "")
	}
	if err := h.store.RevokeSession(ctx, caller.UserID, req.GetSessionId()); err != nil {
		return nil, answer(err, reasonSessionNotFound)
	}
	return &authv1.RevokeSessionResponse{}, nil
}
