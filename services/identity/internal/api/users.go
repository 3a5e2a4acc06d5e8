package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/identity/ent"
	"ashlar.dev/services/identity/internal/store"
)

// Users implements ashlar.identity.v1.UserService.
type Users struct{ store *store.Store }

// NewUsers returns the handler over a store.
func NewUsers(s *store.Store) *Users { return &Users{s} }

// CreateUser implements ashlar.identity.v1.UserService.
func (h *Users) CreateUser(ctx context.Context, req *identityv1.CreateUserRequest) (*identityv1.CreateUserResponse, error) {
	created, err := h.store.CreateUser(ctx, store.NewUser{
		Email: req.GetEmail(), DisplayName: req.GetDisplayName(),
		RequestKey: requestKey(authn.FromContext(ctx).UserID, req.GetRequestId()),
	})
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.CreateUserResponse{User: userMessage(created)}, nil
}

// GetUser implements ashlar.identity.v1.UserService.
func (h *Users) GetUser(ctx context.Context, req *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	found, err := h.store.User(ctx, req.GetUserId())
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.GetUserResponse{User: userMessage(found)}, nil
}

// ListUsers implements ashlar.identity.v1.UserService.
func (h *Users) ListUsers(ctx context.Context, req *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	cursor, err := page.Open(req, "users", req.GetEmail())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Users(ctx, req.GetEmail(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(u *ent.User) string { return u.ID })
	res := &identityv1.ListUsersResponse{NextPageToken: next}
	for _, u := range found {
		res.Users = append(res.Users, userMessage(u))
	}
	return res, nil
}

// UpdateUser implements ashlar.identity.v1.UserService.
func (h *Users) UpdateUser(ctx context.Context, req *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error) {
	name := req.GetUser().GetDisplayName()
	if err := onlyDisplayName(req.GetUpdateMask(), "user", name); err != nil {
		return nil, err
	}
	changed, err := h.store.RenameUser(ctx, req.GetUser().GetId(), req.GetUser().GetVersion(), name)
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.UpdateUserResponse{User: userMessage(changed)}, nil
}

// DeactivateUser implements ashlar.identity.v1.UserService.
func (h *Users) DeactivateUser(ctx context.Context, req *identityv1.DeactivateUserRequest) (*identityv1.DeactivateUserResponse, error) {
	changed, err := h.store.SetUserDeactivated(ctx, req.GetUserId(), true)
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.DeactivateUserResponse{User: userMessage(changed)}, nil
}

// ReactivateUser implements ashlar.identity.v1.UserService.
func (h *Users) ReactivateUser(ctx context.Context, req *identityv1.ReactivateUserRequest) (*identityv1.ReactivateUserResponse, error) {
	changed, err := h.store.SetUserDeactivated(ctx, req.GetUserId(), false)
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.ReactivateUserResponse{User: userMessage(changed)}, nil
}

func userMessage(u *ent.User) *identityv1.User {
	message := &identityv1.User{
		Id: u.ID, Email: u.Email, DisplayName: u.DisplayName, State: identityv1.UserState_USER_STATE_ACTIVE, Version: u.Version,
		CreatedAt: timestamppb.New(u.CreatedAt), UpdatedAt: timestamppb.New(u.UpdatedAt),
	}
	if u.DeactivatedAt != nil {
		message.State, message.DeactivatedAt = identityv1.UserState_USER_STATE_DEACTIVATED, timestamppb.New(*u.DeactivatedAt)
	}
	return message
}
