package api

import (
	"context"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/services/identity/ent"
	"ashlar.dev/services/identity/internal/store"
)

// Accounts implements ashlar.identity.v1.AccountService.
type Accounts struct{ store *store.Store }

// NewAccounts returns the handler over a store.
func NewAccounts(s *store.Store) *Accounts { return &Accounts{s} }

// RegisterAccount implements ashlar.identity.v1.AccountService.
func (h *Accounts) RegisterAccount(ctx context.Context, req *identityv1.RegisterAccountRequest) (*identityv1.RegisterAccountResponse, error) {
	created, err := h.store.CreateUser(ctx, store.NewUser{ID: req.GetUserId(), Email: req.GetEmail(), DisplayName: req.GetDisplayName()})
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.RegisterAccountResponse{User: userMessage(created)}, nil
}

// LookupAccount implements ashlar.identity.v1.AccountService.
func (h *Accounts) LookupAccount(ctx context.Context, req *identityv1.LookupAccountRequest) (*identityv1.LookupAccountResponse, error) {
	var found *ent.User
	var err error
	switch by := req.GetBy().(type) {
	case *identityv1.LookupAccountRequest_UserId:
		found, err = h.store.User(ctx, by.UserId)
	case *identityv1.LookupAccountRequest_Email:
		found, err = h.store.UserByEmail(ctx, by.Email)
	}
	if err != nil {
		return nil, answer(err, reasonUserNotFound)
	}
	return &identityv1.LookupAccountResponse{User: userMessage(found)}, nil
}
