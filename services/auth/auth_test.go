package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/id"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/auth/internal/api"
	"ashlar.dev/services/auth/internal/keyring"
	"ashlar.dev/services/auth/internal/store"
)

func TestFromSigningUpToSigningOut(t *testing.T) { dbtest.EachURL(t, life) }

func life(t *testing.T, database config.Secret) {
	w := newWorld(t)
	cfg := testConfig(t)
	cfg.DatabaseURL = database
	_, err := w.start(cfg)
	require.NoError(t, err)
	userID := w.signUp()
	require.NoError(t, id.Check(id.User, userID))

	organization := id.New(id.Organization)
	res, err := w.Login(t.Context(), &authv1.LoginRequest{Email: "Ada@Example.com", Password: secret, OrganizationId: organization})
	require.NoError(t, err)
	tokens := res.GetTokens()
	assert.InDelta(t, api.AccessTokenLifetime.Seconds(), time.Until(tokens.GetExpiresAt().AsTime()).Seconds(), 30)
	assert.True(t, strings.HasPrefix(tokens.GetRefreshToken(), "rt_"))

	me, err := w.WhoAmI(w.as(tokens), &authv1.WhoAmIRequest{})
	require.NoError(t, err)
	assert.Equal(t, userID, me.GetUserId())
	assert.Equal(t, ada, me.GetEmail())
	assert.Equal(t, "Ada", me.GetDisplayName())
	assert.Equal(t, organization, me.GetOrganizationId())
	require.NoError(t, id.Check(id.Session, me.GetSessionId()))
	assert.InDelta(t, store.MaxSessionIdle.Seconds(), time.Until(me.GetSessionExpiresAt().AsTime()).Seconds(), 30)

	next, err := w.refresh(tokens.GetRefreshToken())
	require.NoError(t, err)
	assert.NotEqual(t, tokens.GetRefreshToken(), next.GetRefreshToken())
	assert.NotEqual(t, tokens.GetAccessToken(), next.GetAccessToken())
	again, err := w.refresh(tokens.GetRefreshToken())
	require.NoError(t, err, "an answer that was lost")
	assert.Equal(t, next.GetRefreshToken(), again.GetRefreshToken())
	me2, err := w.WhoAmI(w.as(next), &authv1.WhoAmIRequest{})
	require.NoError(t, err)
	assert.Equal(t, me.GetSessionId(), me2.GetSessionId())
	assert.Equal(t, organization, me2.GetOrganizationId())

	_, err = w.Logout(w.as(next), &authv1.LogoutRequest{})
	require.NoError(t, err)
	_, err = w.Logout(w.as(next), &authv1.LogoutRequest{})
	require.NoError(t, err, "again changes nothing")
	_, err = w.WhoAmI(w.as(next), &authv1.WhoAmIRequest{})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	_, err = w.refresh(next.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")

	for action, n := range map[string]int{
		"key.create": 1, "account.sign_up": 1, "session.create": 1, "session.refresh": 2, "session.revoke": 1,
	} {
		events := w.peers.Audit.Await(t, action, n)
		require.Len(t, events, n, action)
		for _, e := range events {
			assert.Equal(t, "auth", e.GetService())
			assert.Equal(t, auditv1.Outcome_OUTCOME_SUCCESS, e.GetOutcome())
			if action == "key.create" {
				continue
			}
			assert.Equal(t, userID, e.GetActor().GetId(), action)
			assert.NotEmpty(t, e.GetProcedure())
		}
	}
}

func TestTheAccessTokenIsThatOfRFC9068(t *testing.T) {
	w := run(t)
	userID := w.signUp()
	part := func(token string, i int) map[string]any {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		require.NoError(t, err)
		var out map[string]any
		require.NoError(t, json.Unmarshal(text, &out))
		return out
	}
	tokens := w.login()
	header, claims := part(tokens.GetAccessToken(), 0), part(tokens.GetAccessToken(), 1)
	jwks, err := w.GetJwks(t.Context(), &authv1.GetJwksRequest{})
	require.NoError(t, err)
	require.Len(t, jwks.GetKeys(), 1)
	key := jwks.GetKeys()[0]
	assert.Equal(t, map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": key.GetKid()}, header)
	assert.Equal(t, []string{"OKP", "sig", "EdDSA", "Ed25519"}, []string{key.GetKty(), key.GetUse(), key.GetAlg(), key.GetCrv()})
	assert.Len(t, key.GetX(), 43)
	assert.Equal(t, userID, claims["sub"])
	assert.Equal(t, "ashlar", claims["iss"])
	for _, name := range []string{"aud", "exp", "iat", "jti", "sid"} {
		assert.Contains(t, claims, name)
	}
	assert.Len(t, claims, 7, "and no roles, no permissions, no address")
	assert.NotEqual(t, claims["jti"], part(w.login().GetAccessToken(), 1)["jti"])
}

func TestWhoCannotSignInLearnsNothing(t *testing.T) {
	w := run(t)
	userID := w.signUp()
	w.peers.Identity.Add("usr_added", "added@example.com")
	w.peers.Identity.CrashAfterRegister(1)
	_, err := w.SignUp(t.Context(), &authv1.SignUpRequest{Email: "crashed@example.com", Password: secret, DisplayName: "Crashed"})
	refused(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)

	login := func(email, password string) *connect.Error {
		_, err := w.Login(t.Context(), &authv1.LoginRequest{Email: email, Password: password})
		refused(t, err, connect.CodeUnauthenticated, "INVALID_CREDENTIALS")
		var e *connect.Error
		require.ErrorAs(t, err, &e)
		return e
	}
	unknown := login("nobody@example.com", secret)
	w.peers.Identity.Add("usr_2", "ada2@example.com")
	w.peers.Identity.Deactivate("usr_added")
	for name, err := range map[string]*connect.Error{
		"wrong password": login(ada, "a password that is not hers"),
		"no password":    login("ada2@example.com", secret),
		"pending":        login("crashed@example.com", secret),
		"deactivated":    login("added@example.com", secret),
	} {
		assert.Equal(t, unknown.Message(), err.Message(), name)
		assert.True(t, proto.Equal(rpcerror.Info(unknown), rpcerror.Info(err)), name)
		assert.Len(t, err.Details(), len(unknown.Details()), name)
	}
	w.peers.Identity.Deactivate(userID)
	deactivated := login(ada, secret)
	assert.Equal(t, unknown.Message(), deactivated.Message())

	resources := map[string]int{}
	for _, e := range w.peers.Audit.Await(t, "session.create", 6) {
		assert.Equal(t, auditv1.Outcome_OUTCOME_DENIED, e.GetOutcome())
		assert.Equal(t, "INVALID_CREDENTIALS", e.GetReason())
		assert.Equal(t, auditv1.ActorKind_ACTOR_KIND_ANONYMOUS, e.GetActor().GetKind())
		resources[e.GetResource()]++
	}
	assert.Equal(t, 2, resources[userID])
	assert.Equal(t, 1, resources[""])
}

func TestASignUpIsCompletedAfterACrash(t *testing.T) {
	w := run(t)
	w.peers.Identity.CrashAfterRegister(1)
	req := &authv1.SignUpRequest{Email: ada, Password: secret, DisplayName: "Ada"}
	_, err := w.SignUp(t.Context(), req)
	refused(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
	userID := w.signUp()
	assert.Equal(t, w.peers.Identity.Users(), []string{userID})
	w.login()
	_, err = w.SignUp(t.Context(), req)
	refused(t, err, connect.CodeAlreadyExists, "EMAIL_TAKEN")
}

func TestAReusedRefreshTokenEndsItsSession(t *testing.T) {
	w := run(t)
	w.signUp()
	tokens, other := w.login(), w.login()
	next, err := w.refresh(tokens.GetRefreshToken())
	require.NoError(t, err)
	w.pass(store.RefreshGrace + time.Second)
	_, err = w.refresh(tokens.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	_, err = w.refresh(next.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	events := w.peers.Audit.Await(t, "session.revoke", 1)
	assert.Equal(t, "REFRESH_TOKEN_REUSED", events[0].GetAttributes()["reason"])
	_, err = w.refresh(other.GetRefreshToken())
	require.NoError(t, err, "the other session goes on")

	for _, token := range []string{"nonsense", "rt_" + strings.Repeat("A", 64), tokens.GetAccessToken()[:100]} {
		_, err = w.refresh(token)
		refused(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
	}
	w.pass(store.MaxSessionIdle)
	_, err = w.refresh(other.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "SESSION_EXPIRED")
}

func TestADeactivatedPersonIsSignedOut(t *testing.T) {
	w := run(t)
	userID := w.signUp()
	tokens := w.login()
	w.peers.Identity.SetDown(true)
	_, err := w.refresh(tokens.GetRefreshToken())
	refused(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
	_, err = w.Login(t.Context(), &authv1.LoginRequest{Email: ada, Password: secret})
	refused(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
	w.peers.Identity.SetDown(false)

	w.peers.Identity.Deactivate(userID)
	_, err = w.WhoAmI(w.as(tokens), &authv1.WhoAmIRequest{})
	refused(t, err, connect.CodeUnauthenticated, "ACCOUNT_DEACTIVATED")
	_, err = w.refresh(tokens.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "ACCOUNT_DEACTIVATED")
	_, err = w.refresh(tokens.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	events := w.peers.Audit.Await(t, "session.revoke", 1)
	assert.Equal(t, "ACCOUNT_DEACTIVATED", events[0].GetAttributes()["reason"])
}

func TestPeopleSeeAndEndTheirOwnSessions(t *testing.T) {
	w := run(t)
	w.signUp()
	here, there, elsewhere := w.login(), w.login(), w.login()
	list := func(size int32, token string) *authv1.ListSessionsResponse {
		res, err := w.ListSessions(w.as(here), &authv1.ListSessionsRequest{PageSize: size, PageToken: token})
		require.NoError(t, err)
		return res
	}
	page := list(2, "")
	require.Len(t, page.GetSessions(), 2)
	last := list(2, page.GetNextPageToken())
	require.Len(t, last.GetSessions(), 1)
	assert.Empty(t, last.GetNextPageToken())
	assert.True(t, last.GetSessions()[0].GetCurrent(), "the first to sign in is the last of the list")
	assert.False(t, page.GetSessions()[0].GetCurrent())
	_, err := w.ListSessions(w.as(here), &authv1.ListSessionsRequest{PageToken: "nonsense"})
	refused(t, err, connect.CodeInvalidArgument, rpcerror.ReasonInvalidPageToken)

	newest := page.GetSessions()[0].GetId()
	_, err = w.RevokeSession(w.as(here), &authv1.RevokeSessionRequest{SessionId: newest})
	require.NoError(t, err)
	_, err = w.refresh(elsewhere.GetRefreshToken())
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	_, err = w.RevokeSession(w.as(elsewhere), &authv1.RevokeSessionRequest{SessionId: last.GetSessions()[0].GetId()})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	_, err = w.ListSessions(w.as(elsewhere), &authv1.ListSessionsRequest{})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
	assert.Len(t, list(0, "").GetSessions(), 2)

	_, err = w.SignUp(t.Context(), &authv1.SignUpRequest{Email: "eve@example.com", Password: secret, DisplayName: "Eve"})
	require.NoError(t, err)
	eve, err := w.Login(t.Context(), &authv1.LoginRequest{Email: "eve@example.com", Password: secret})
	require.NoError(t, err)
	_, err = w.RevokeSession(w.as(eve.GetTokens()), &authv1.RevokeSessionRequest{SessionId: page.GetSessions()[1].GetId()})
	refused(t, err, connect.CodeNotFound, "SESSION_NOT_FOUND")
	_, err = w.refresh(there.GetRefreshToken())
	require.NoError(t, err)
}

func TestRotatingTheSigningKey(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig(t)
	cfg.AdminEmail, cfg.AdminPassword = ada, secret
	_, err := w.start(cfg)
	require.NoError(t, err)
	_, err = w.SignUp(t.Context(), &authv1.SignUpRequest{Email: "eve@example.com", Password: secret, DisplayName: "Eve"})
	require.NoError(t, err)
	eve, err := w.Login(t.Context(), &authv1.LoginRequest{Email: "eve@example.com", Password: secret})
	require.NoError(t, err)
	_, err = w.RotateSigningKey(w.as(eve.GetTokens()), &authv1.RotateSigningKeyRequest{})
	refused(t, err, connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied)

	before := w.login()
	rotated, err := w.RotateSigningKey(w.as(before), &authv1.RotateSigningKeyRequest{})
	require.NoError(t, err)
	jwks, err := w.GetJwks(t.Context(), &authv1.GetJwksRequest{})
	require.NoError(t, err)
	require.Len(t, jwks.GetKeys(), 2)
	assert.Equal(t, rotated.GetKid(), jwks.GetKeys()[1].GetKid())
	for _, tokens := range []*authv1.Tokens{before, w.login()} {
		_, err = w.WhoAmI(w.as(tokens), &authv1.WhoAmIRequest{})
		require.NoError(t, err)
	}
	events := w.peers.Audit.Await(t, "key.rotate", 1)
	assert.Equal(t, rotated.GetKid(), events[0].GetResource())
	assert.Equal(t, auditv1.ActorKind_ACTOR_KIND_USER, events[0].GetActor().GetKind())
}

func TestARetiredKeyIsPublishedForAsLongAsItsTokensLive(t *testing.T) {
	const leeway = 5 * time.Second // authn's, for clocks that differ
	assert.Greater(t, keyring.Retention, keyring.MaxAge+api.AccessTokenLifetime+2*leeway)
}

func TestWhatIsRefusedBeforeItIsTried(t *testing.T) {
	w := run(t)
	for name, call := range map[string]func() error{
		"short password": func() error {
			_, err := w.SignUp(t.Context(), &authv1.SignUpRequest{Email: ada, Password: "fourteen chars", DisplayName: "Ada"})
			return err
		},
		"no address": func() error {
			_, err := w.SignUp(t.Context(), &authv1.SignUpRequest{Email: "ada", Password: secret, DisplayName: "Ada"})
			return err
		},
		"organization": func() error {
			_, err := w.Login(t.Context(), &authv1.LoginRequest{Email: ada, Password: secret, OrganizationId: "org_made_up"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, call(), connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest)
		})
	}
	assert.Empty(t, w.peers.Identity.Users())
	_, err := w.WhoAmI(t.Context(), &authv1.WhoAmIRequest{})
	refused(t, err, connect.CodeUnauthenticated, rpcerror.ReasonTokenMissing)
}
