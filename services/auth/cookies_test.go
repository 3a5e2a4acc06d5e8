package auth

import (
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/authn"
)

// set returns the cookies that an answer sets, by name.
func set(t *testing.T, info *connect.CallInfo) map[string]*http.Cookie {
	t.Helper()
	out := map[string]*http.Cookie{}
	for _, line := range info.ResponseHeader().Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		require.NoError(t, err)
		require.NotContains(t, out, c.Name)
		out[c.Name] = c
		assert.True(t, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteStrictMode, line)
		assert.Empty(t, c.Domain, line)
	}
	return out
}

// A browser signs in, goes on and out without ever seeing a token.
func TestTokensInCookies(t *testing.T) {
	w := run(t)
	w.signUp()
	ctx, info := connect.NewClientContext(t.Context())
	res, err := w.Login(ctx, &authv1.LoginRequest{Email: ada, Password: secret, SessionCookies: true})
	require.NoError(t, err)
	assert.Empty(t, res.GetTokens().GetAccessToken())
	assert.Empty(t, res.GetTokens().GetRefreshToken())
	assert.NotNil(t, res.GetTokens().GetExpiresAt())
	cookies := set(t, info)
	access, refresh := cookies[authn.AccessCookie], cookies[authn.RefreshCookie]
	require.NotNil(t, access)
	require.NotNil(t, refresh)
	assert.Equal(t, "/", access.Path)
	assert.InDelta(t, 300, access.MaxAge, 30)
	assert.Equal(t, "/ashlar.auth.v1.AuthService/Refresh", refresh.Path)
	assert.Greater(t, refresh.MaxAge, 3600)
	_, err = w.WhoAmI(w.as(&authv1.Tokens{AccessToken: access.Value}), &authv1.WhoAmIRequest{})
	require.NoError(t, err)

	ctx, info = connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Cookie", authn.RefreshCookie+"="+refresh.Value)
	next, err := w.Refresh(ctx, &authv1.RefreshRequest{})
	require.NoError(t, err)
	assert.Empty(t, next.GetTokens().GetAccessToken())
	assert.Empty(t, next.GetTokens().GetRefreshToken())
	cookies = set(t, info)
	assert.NotEqual(t, access.Value, cookies[authn.AccessCookie].Value)
	assert.NotEqual(t, refresh.Value, cookies[authn.RefreshCookie].Value)

	token := &authv1.Tokens{AccessToken: cookies[authn.AccessCookie].Value}
	out, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+token.GetAccessToken())
	_, err = w.Logout(out, &authv1.LogoutRequest{})
	require.NoError(t, err)
	for name, c := range set(t, info) {
		assert.Negative(t, c.MaxAge, name)
		assert.Empty(t, c.Value, name)
	}
	_, err = w.WhoAmI(w.as(token), &authv1.WhoAmIRequest{})
	refused(t, err, connect.CodeUnauthenticated, "SESSION_REVOKED")
}

func TestRefreshWithoutAToken(t *testing.T) {
	w := run(t)
	w.signUp()
	for _, cookie := range []string{"", authn.RefreshCookie + "=", authn.RefreshCookie + "=x", authn.RefreshCookie + "=a; " + authn.RefreshCookie + "=b"} {
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Cookie", cookie)
		_, err := w.Refresh(ctx, &authv1.RefreshRequest{})
		refused(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
	}
}

// Who asks for no cookies gets none, whatever he sends.
func TestTokensInTheAnswer(t *testing.T) {
	w := run(t)
	w.signUp()
	ctx, info := connect.NewClientContext(t.Context())
	res, err := w.Login(ctx, &authv1.LoginRequest{Email: ada, Password: secret})
	require.NoError(t, err)
	assert.Empty(t, set(t, info))
	ctx, info = connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Cookie", authn.RefreshCookie+"=x")
	next, err := w.Refresh(ctx, &authv1.RefreshRequest{RefreshToken: res.GetTokens().GetRefreshToken()})
	require.NoError(t, err)
	assert.NotEmpty(t, next.GetTokens().GetAccessToken())
	assert.Empty(t, set(t, info))
}
