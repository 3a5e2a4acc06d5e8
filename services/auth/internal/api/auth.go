package api

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/auth/internal/account"
	"ashlar.dev/services/auth/internal/refreshtoken"
	"ashlar.dev/services/auth/internal/store"
)

// Auth implements ashlar.auth.v1.AuthService.
type Auth struct {
	store  *store.Store
	people *account.People
	desk   *account.Desk
	tokens *Tokens
}

// NewAuth returns the handler over a store.
func NewAuth(s *store.Store, people *account.People, desk *account.Desk, tokens *Tokens) *Auth {
	return &Auth{s, people, desk, tokens}
}

// SignUp implements ashlar.auth.v1.AuthService.
func (h *Auth) SignUp(ctx context.Context, req *authv1.SignUpRequest) (*authv1.SignUpResponse, error) {
	userID, err := h.desk.SignUp(ctx, account.Applicant{
		Email: req.GetEmail(), Password: req.GetPassword(), DisplayName: req.GetDisplayName(),
	})
	if err != nil {
		return nil, answer(err, "")
	}
	return &authv1.SignUpResponse{UserId: userID}, nil
}

// Login implements ashlar.auth.v1.AuthService.
func (h *Auth) Login(ctx context.Context, req *authv1.LoginRequest) (*authv1.LoginResponse, error) {
	// The organization is the client's word and stays so: it grants nothing, because every request that needs a permission
	// names the organization itself. Only its form is looked at.
	if organization := req.GetOrganizationId(); organization != "" && id.Check(id.Organization, organization) != nil {
		return nil, notAnOrganization()
	}
	person, err := h.people.ByEmail(ctx, req.GetEmail())
	if err != nil && !errors.Is(err, account.ErrNobody) {
		return nil, err
	}
	// For somebody unknown the id is empty, and all that follows is the same and takes as long.
	right, err := h.desk.Check(ctx, person.ID, req.GetPassword())
	if err != nil {
		return nil, answer(err, "")
	}
	if !right || person.Deactivated {
		h.store.RefuseSession(ctx, person.ID, reasonInvalidCredentials)
		return nil, answer(errInvalidCredentials, "")
	}
	refresh := refreshtoken.New()
	session, err := h.store.CreateSession(ctx, store.NewSession{
		ID: id.New(id.Session), UserID: person.ID, OrganizationID: req.GetOrganizationId(), Token: refresh,
	})
	if err != nil {
		return nil, err
	}
	tokens, err := h.tokens.issue(ctx, session, refresh)
	if err != nil {
		return nil, err
	}
	if req.GetSessionCookies() {
		keep(ctx, tokens, session, h.tokens.clock())
	}
	return &authv1.LoginResponse{Outcome: &authv1.LoginResponse_Tokens{Tokens: tokens}}, nil
}

// Refresh implements ashlar.auth.v1.AuthService.
func (h *Auth) Refresh(ctx context.Context, req *authv1.RefreshRequest) (*authv1.RefreshResponse, error) {
	text, cookies := req.GetRefreshToken(), false
	if text == "" {
		text, cookies = refreshTokenOf(ctx)
	}
	token, err := refreshtoken.Parse(text)
	if err != nil {
		return nil, answer(errors.Join(store.ErrNotFound, err), reasonRefreshTokenInvalid)
	}
	session, err := h.store.TokenSession(ctx, token)
	if err != nil {
		return nil, answer(err, reasonRefreshTokenInvalid)
	}
	person, err := h.people.ByID(ctx, session.UserID)
	if errors.Is(err, account.ErrNobody) || err == nil && person.Deactivated {
		if err := h.store.EndSession(ctx, session, reasonAccountDeactivated); err != nil {
			return nil, err
		}
		return nil, answer(errDeactivated, "")
	}
	if err != nil {
		return nil, err
	}
	next := h.tokens.next(token)
	if session, err = h.store.Rotate(ctx, token, next); err != nil {
		return nil, answer(err, reasonRefreshTokenInvalid)
	}
	tokens, err := h.tokens.issue(ctx, session, next)
	if err != nil {
		return nil, err
	}
	if cookies {
		keep(ctx, tokens, session, h.tokens.clock())
	}
	return &authv1.RefreshResponse{Tokens: tokens}, nil
}

// Logout implements ashlar.auth.v1.AuthService.
func (h *Auth) Logout(ctx context.Context, _ *authv1.LogoutRequest) (*authv1.LogoutResponse, error) {
	caller := authn.FromContext(ctx)
	if err := h.store.RevokeSession(ctx, caller.UserID, caller.SessionID); err != nil {
		return nil, answer(err, "")
	}
	forget(ctx)
	return &authv1.LogoutResponse{}, nil
}

// WhoAmI implements ashlar.auth.v1.AuthService.
func (h *Auth) WhoAmI(ctx context.Context, _ *authv1.WhoAmIRequest) (*authv1.WhoAmIResponse, error) {
	caller := authn.FromContext(ctx)
	expires, err := h.liveUntil(ctx, caller)
	if err != nil {
		return nil, answer(err, "")
	}
	person, err := h.people.ByID(ctx, caller.UserID)
	if errors.Is(err, account.ErrNobody) || err == nil && person.Deactivated {
		return nil, answer(errDeactivated, "")
	}
	if err != nil {
		return nil, err
	}
	return &authv1.WhoAmIResponse{
		UserId: person.ID, Email: person.Email, DisplayName: person.DisplayName,
		SessionId: caller.SessionID, OrganizationId: caller.OrganizationID, SessionExpiresAt: timestamppb.New(expires),
	}, nil
}

// liveUntil returns when the caller's session, or API key, ends.
func (h *Auth) liveUntil(ctx context.Context, caller authn.Principal) (time.Time, error) {
	if caller.ByAPIKey() {
		key, err := h.store.LiveAPIKey(ctx, caller.UserID, caller.SessionID)
		if err != nil {
			return time.Time{}, err
		}
		return key.ExpiresAt, nil
	}
	session, err := h.store.LiveSession(ctx, caller.UserID, caller.SessionID)
	if err != nil {
		return time.Time{}, err
	}
	return session.ExpiresAt, nil
}
