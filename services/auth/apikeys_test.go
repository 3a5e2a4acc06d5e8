package auth

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/ent/database/dbtest"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/auth/internal/store"
)

func TestAPIKeys(t *testing.T) { dbtest.EachURL(t, keyLife) }

func keyLife(t *testing.T, database config.Secret) {
	w := newWorld(t)
	cfg := testConfig(t)
	cfg.DatabaseURL = database
	_, err := w.start(cfg)
	require.NoError(t, err)
	userID := w.signUp()
	me := w.as(w.login())

	organization := id.New(id.Organization)
	create := &authv1.CreateApiKeyRequest{DisplayName: "nightly", OrganizationId: organization, RequestId: "1"}
	made, err := w.CreateApiKey(me, create)
	require.NoError(t, err)
	key := made.GetApiKey()
	require.NoError(t, id.Check(authn.APIKey, key.GetId()))
	assert.InDelta(t, 90*24, time.Until(key.GetExpiresAt().AsTime()).Hours(), 1)
	assert.True(t, strings.HasPrefix(made.GetSecret(), authn.APIKeyPrefix))
	again, err := w.CreateApiKey(me, create)
	require.NoError(t, err)
	assert.Equal(t, key.GetId(), again.GetApiKey().GetId(), "an answer that was lost")
	assert.Equal(t, made.GetSecret(), again.GetSecret())

	exchanged, err := w.ExchangeApiKey(w.service(), &authv1.ExchangeApiKeyRequest{Secret: made.GetSecret()})
	require.NoError(t, err)
	program := w.as(&authv1.Tokens{AccessToken: exchanged.GetAccessToken()})
	who, err := w.WhoAmI(program, &authv1.WhoAmIRequest{})
	require.NoError(t, err)
	assert.Equal(t, userID, who.GetUserId())
	assert.Equal(t, organization, who.GetOrganizationId())
	assert.Equal(t, key.GetId(), who.GetSessionId())

	list, err := w.ListApiKeys(me, &authv1.ListApiKeysRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetApiKeys(), 1)
	assert.NotNil(t, list.GetApiKeys()[0].GetUsedAt())

	_, err = w.CreateApiKey(program, &authv1.CreateApiKeyRequest{DisplayName: "mine"})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	_, err = w.ListApiKeys(program, &authv1.ListApiKeysRequest{})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	_, err = w.RevokeApiKey(program, &authv1.RevokeApiKeyRequest{ApiKeyId: key.GetId()})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")

	for range 2 { // again changes nothing
		_, err = w.RevokeApiKey(me, &authv1.RevokeApiKeyRequest{ApiKeyId: key.GetId()})
		require.NoError(t, err)
	}
	_, err = w.ExchangeApiKey(w.service(), &authv1.ExchangeApiKeyRequest{Secret: made.GetSecret()})
	refused(t, err, connect.CodeUnauthenticated, "API_KEY_INVALID")
	_, err = w.WhoAmI(program, &authv1.WhoAmIRequest{})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	list, err = w.ListApiKeys(me, &authv1.ListApiKeysRequest{})
	require.NoError(t, err)
	assert.Empty(t, list.GetApiKeys())

	for action, n := range map[string]int{"api_key.create": 1, "api_key.revoke": 1} {
		require.Len(t, w.peers.Audit.Await(t, action, n), n, action)
	}
}

func TestAPIKeysThatAreRefused(t *testing.T) {
	w := run(t)
	w.signUp()
	me := w.as(w.login())
	for _, c := range []*authv1.CreateApiKeyRequest{
		{DisplayName: ""},
		{DisplayName: "x", OrganizationId: "acme"},
		{DisplayName: "x", ExpiresAt: timestamppb.New(time.Now().Add(-time.Minute))},
		{DisplayName: "x", ExpiresAt: timestamppb.New(time.Now().Add(367 * 24 * time.Hour))},
		{DisplayName: "x", ExpiresAt: &timestamppb.Timestamp{Nanos: -1}},
	} {
		_, err := w.CreateApiKey(me, c)
		refused(t, err, connect.CodeInvalidArgument, "INVALID_REQUEST")
	}
	_, err := w.RevokeApiKey(me, &authv1.RevokeApiKeyRequest{ApiKeyId: id.New(authn.APIKey)})
	refused(t, err, connect.CodeNotFound, "API_KEY_NOT_FOUND")
	_, err = w.ExchangeApiKey(me, &authv1.ExchangeApiKeyRequest{Secret: "x"})
	refused(t, err, connect.CodePermissionDenied, "SERVICES_ONLY")

	made, err := w.CreateApiKey(me, &authv1.CreateApiKeyRequest{DisplayName: "x", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))})
	require.NoError(t, err)
	last := made.GetSecret()[len(made.GetSecret())-2]
	forged := made.GetSecret()[:len(made.GetSecret())-2] + string(last^1) + made.GetSecret()[len(made.GetSecret())-1:]
	for name, secret := range map[string]string{"garbage": "x", "forged": forged, "an id": made.GetApiKey().GetId()} {
		_, err = w.ExchangeApiKey(w.service(), &authv1.ExchangeApiKeyRequest{Secret: secret})
		require.Error(t, err, name)
		refused(t, err, connect.CodeUnauthenticated, "API_KEY_INVALID")
	}
	w.pass(2 * time.Hour)
	_, err = w.ExchangeApiKey(w.service(), &authv1.ExchangeApiKeyRequest{Secret: made.GetSecret()})
	refused(t, err, connect.CodeUnauthenticated, "API_KEY_INVALID")
}

func TestNobodyHasHeapsOfAPIKeys(t *testing.T) {
	w := run(t)
	w.signUp()
	me := w.as(w.login())
	for range store.MaxAPIKeys {
		_, err := w.CreateApiKey(me, &authv1.CreateApiKeyRequest{DisplayName: "x"})
		require.NoError(t, err)
	}
	_, err := w.CreateApiKey(me, &authv1.CreateApiKeyRequest{DisplayName: "x"})
	refused(t, err, connect.CodeResourceExhausted, "TOO_MANY_API_KEYS")
}
