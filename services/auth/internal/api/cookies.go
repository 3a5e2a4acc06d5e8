package api

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/auth/ent"
)

// keep puts tokens into cookies that scripts cannot read, and leaves them out of what is answered. That of the access token
// goes when the token does; the other one is sent to Refresh only, and ends with the session.
func keep(ctx context.Context, tokens *authv1.Tokens, session *ent.Session, now time.Time) {
	setCookie(ctx, accessCookie(tokens.GetAccessToken(), tokens.GetExpiresAt().AsTime().Sub(now)))
	setCookie(ctx, refreshCookie(tokens.GetRefreshToken(), session.ExpiresAt.Sub(now)))
	tokens.AccessToken, tokens.RefreshToken = "", ""
}

// forget takes the cookies back.
func forget(ctx context.Context) {
	setCookie(ctx, accessCookie("", 0))
	setCookie(ctx, refreshCookie("", 0))
}

func accessCookie(token string, lifetime time.Duration) *http.Cookie {
	return cookie(authn.AccessCookie, token, "/", lifetime)
}

func refreshCookie(token string, lifetime time.Duration) *http.Cookie {
	return cookie(authn.RefreshCookie, token, authv1connect.AuthServiceRefreshProcedure, lifetime)
}

func cookie(name, value, path string, lifetime time.Duration) *http.Cookie {
	age := int(lifetime.Seconds())
	if age <= 0 {
		age = -1 // net/http's way to say: gone
	}
	return &http.Cookie{Name: name, Value: value, Path: path, MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

func setCookie(ctx context.Context, c *http.Cookie) {
	if info, ok := connect.CallInfoForServerContext(ctx); ok {
		info.ResponseHeader().Add("Set-Cookie", c.String())
	}
}

// refreshTokenOf returns the refresh token that a call has in a cookie, if it has exactly one.
func refreshTokenOf(ctx context.Context) (string, bool) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return "", false
	}
	found := (&http.Request{Header: http.Header{"Cookie": info.RequestHeader().Values("Cookie")}}).CookiesNamed(authn.RefreshCookie)
	if len(found) != 1 {
		return "", false
	}
	return found[0].Value, true
}
