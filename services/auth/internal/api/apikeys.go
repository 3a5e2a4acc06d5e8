package api

import (
	"bytes"
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/internal/account"
	"ashlar.dev/services/auth/internal/apikey"
	"ashlar.dev/services/auth/internal/store"
)

// How long API keys live.
const (
	maxAPIKeyAge     = 366 * 24 * time.Hour
	defaultAPIKeyAge = 90 * 24 * time.Hour
)

// Programs implements ashlar.auth.v1.ApiKeyService.
type Programs struct {
	store  *store.Store
	people *account.People
	tokens *Tokens
	key    []byte
}

// NewPrograms returns the handlers. Secrets are derived with key.
func NewPrograms(s *store.Store, people *account.People, tokens *Tokens, key []byte) *Programs {
	return &Programs{s, people, tokens, key}
}

// CreateApiKey implements the RPC.
func (h *Programs) CreateApiKey(ctx context.Context, req *authv1.CreateApiKeyRequest) (*authv1.CreateApiKeyResponse, error) {
	caller := authn.FromContext(ctx)
	// A key cannot make keys: whoever finds one would never have to give it back.
	if _, err := h.store.LiveSession(ctx, caller.UserID, caller.SessionID); err != nil {
		return nil, answer(err, "")
	}
	if organization := req.GetOrganizationId(); organization != "" && id.Check(id.Organization, organization) != nil {
		return nil, notAnOrganization()
	}
	now := h.tokens.clock()
	expires := now.Add(defaultAPIKeyAge)
	if at := req.GetExpiresAt(); at != nil {
		expires = at.AsTime()
		if at.CheckValid() != nil || !expires.After(now) || expires.After(now.Add(maxAPIKeyAge)) {
			return nil, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, "expires_at is not within the next 366 days",
				rpcerror.Field("expires_at", "must be within the next 366 days"))
		}
	}
	requestKey := ""
	if req.GetRequestId() != "" {
		requestKey = caller.UserID + " " + req.GetRequestId()
	}
	keyID := id.New(authn.APIKey)
	key, err := h.store.CreateAPIKey(ctx, store.NewAPIKey{
		ID: keyID, UserID: caller.UserID, OrganizationID: req.GetOrganizationId(), DisplayName: req.GetDisplayName(),
		SecretHash: apikey.New(keyID, h.key).Hash(), ExpiresAt: expires.UTC().Truncate(time.Microsecond), RequestKey: requestKey,
	})
	if err != nil {
		return nil, answer(err, "")
	}
	res := &authv1.CreateApiKeyResponse{ApiKey: toAPIKey(key)}
	// A key of an earlier request may have been derived with another key than ours.
	if secret := apikey.New(key.ID, h.key); bytes.Equal(secret.Hash(), key.SecretHash) {
		res.Secret = secret.String()
	}
	return res, nil
}

// ListApiKeys implements the RPC.
func (h *Programs) ListApiKeys(ctx context.Context, req *authv1.ListApiKeysRequest) (*authv1.ListApiKeysResponse, error) {
	caller := authn.FromContext(ctx)
	cursor, err := page.Open(req, "api keys", caller.UserID)
	if err != nil {
		return nil, err
	}
	if _, err := h.store.LiveSession(ctx, caller.UserID, caller.SessionID); err != nil {
		return nil, answer(err, "")
	}
	found, err := h.store.LiveAPIKeys(ctx, caller.UserID, cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(k *ent.APIKey) string { return k.ID })
	res := &authv1.ListApiKeysResponse{NextPageToken: next}
	for _, k := range found {
		res.ApiKeys = append(res.ApiKeys, toAPIKey(k))
	}
	return res, nil
}

// RevokeApiKey implements the RPC.
func (h *Programs) RevokeApiKey(ctx context.Context, req *authv1.RevokeApiKeyRequest) (*authv1.RevokeApiKeyResponse, error) {
	caller := authn.FromContext(ctx)
	if _, err := h.store.LiveSession(ctx, caller.UserID, caller.SessionID); err != nil {
		return nil, answer(err, "")
	}
	if err := h.store.RevokeAPIKey(ctx, caller.UserID, req.GetApiKeyId()); err != nil {
		return nil, answer(err, reasonAPIKeyNotFound)
	}
	return &authv1.RevokeApiKeyResponse{}, nil
}

// ExchangeApiKey implements the RPC.
func (h *Programs) ExchangeApiKey(ctx context.Context, req *authv1.ExchangeApiKeyRequest) (*authv1.ExchangeApiKeyResponse, error) {
	secret, err := apikey.Parse(req.GetSecret())
	if err != nil {
		return nil, answer(errors.Join(store.ErrNotFound, err), reasonAPIKeyInvalid)
	}
	key, err := h.store.UseAPIKey(ctx, secret.ID, secret.Hash())
	if err != nil {
		return nil, answer(err, reasonAPIKeyInvalid)
	}
	person, err := h.people.ByID(ctx, key.UserID)
	if errors.Is(err, account.ErrNobody) || err == nil && person.Deactivated {
		return nil, answer(errDeactivated, "")
	}
	if err != nil {
		return nil, err
	}
	token, expires, err := h.tokens.access(ctx, subject{user: key.UserID, session: key.ID, organization: key.OrganizationID, until: key.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return &authv1.ExchangeApiKeyResponse{AccessToken: token, ExpiresAt: timestamppb.New(expires)}, nil
}

func toAPIKey(k *ent.APIKey) *authv1.ApiKey {
	out := &authv1.ApiKey{
		Id: k.ID, DisplayName: k.DisplayName, OrganizationId: k.OrganizationID,
		CreatedAt: timestamppb.New(k.CreatedAt), ExpiresAt: timestamppb.New(k.ExpiresAt),
	}
	if k.UsedAt != nil {
		out.UsedAt = timestamppb.New(*k.UsedAt)
	}
	return out
}
