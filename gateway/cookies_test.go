package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/authn"
)

const app = "https://app.example.com"

// Who may use the cookies of whoever sits before the browser: pages of the gateway's own host, and of origins that may
// call.
func TestCookies(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.CORSOrigins = []string{app, "http://localhost:*"} })
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	good := authn.AccessCookie + "=" + w.token(nil)
	for _, c := range []struct {
		name, procedure, cookie string
		header                  map[string]string
		status                  int
		reason                  string
	}{
		{"own page", whoAmI, good, map[string]string{"Sec-Fetch-Site": "same-origin"}, 200, ""},
		{"own page of an old browser", whoAmI, good, map[string]string{"Origin": "http://" + w.gateway.Address()}, 200, ""},
		{"origin that may call", whoAmI, good, map[string]string{"Sec-Fetch-Site": "same-site", "Origin": app}, 200, ""},
		{"origin by pattern", whoAmI, good, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:5173"}, 200, ""},
		{"with others", whoAmI, "theme=dark; " + good + "; lang=en", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200, ""},
		{"stranger", whoAmI, good, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, 403, "CROSS_SITE_REQUEST"},
		{"stranger of the same site", whoAmI, good, map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://evil.app.example.com"}, 403, "CROSS_SITE_REQUEST"},
		{"stranger without an origin", whoAmI, good, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "CROSS_SITE_REQUEST"},
		{"opaque origin", whoAmI, good, map[string]string{"Origin": "null"}, 403, "CROSS_SITE_REQUEST"},
		{"nobody says where it comes from", whoAmI, good, nil, 403, "CROSS_SITE_REQUEST"},
		{"stranger at something public", change, good, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, 403, "CROSS_SITE_REQUEST"},
		{"stranger with a refresh token", change, authn.RefreshCookie + "=x", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, 403, "CROSS_SITE_REQUEST"},
		{"two tokens", whoAmI, good + "; " + good, map[string]string{"Sec-Fetch-Site": "same-origin"}, 401, "TOKEN_MISSING"},
		{"not a token", whoAmI, authn.AccessCookie + "=x", map[string]string{"Sec-Fetch-Site": "same-origin"}, 401, "TOKEN_INVALID"},
		{"the name without the prefix", whoAmI, "ashlar-access=" + w.token(nil), map[string]string{"Sec-Fetch-Site": "same-origin"}, 401, "TOKEN_MISSING"},
		{"a header beside it wins", whoAmI, good, map[string]string{"Sec-Fetch-Site": "same-origin", "Authorization": "Bearer x"}, 401, "TOKEN_INVALID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{"Cookie": {c.cookie}}
			for name, value := range c.header {
				header.Set(name, value)
			}
			status, a := w.post(c.procedure, "{}", header)
			assert.Equal(t, c.status, status, a.raw)
			assert.Equal(t, c.reason, a.reason())
		})
	}

	t.Run("services do not see it", func(t *testing.T) {
		for _, procedure := range []string{whoAmI, change} {
			cookie := "theme=dark; " + good + "; lang=en; " + authn.RefreshCookie + "=x"
			status, a := w.post(procedure, "{}", http.Header{"Cookie": {cookie}, "Sec-Fetch-Site": {"same-origin"}})
			assert.Equal(t, http.StatusOK, status, a.raw)
			assert.Equal(t, []string{"theme=dark; lang=en; " + authn.RefreshCookie + "=x"}, e.seen()["Cookie"])
		}
	})
}

// Browsers send cookies to another origin only where it says so, and never where everybody may call.
func TestCookiesOfOtherOrigins(t *testing.T) {
	for origins, want := range map[string]string{app: "true", "*": ""} {
		w := newWorld(t, func(c *gateway.Config) { c.CORSOrigins = []string{origins} })
		w.add(echoOffer(t, newEcho()))
		w.routable(look, true)
		request, err := http.NewRequest(http.MethodOptions, w.url(whoAmI), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", app)
		request.Header.Set("Access-Control-Request-Method", http.MethodPost)
		_, a := w.do(request)
		assert.Equal(t, want, a.header.Get("Access-Control-Allow-Credentials"))
	}
}

// By REST, what has an effect is protected whatever its method is.
func TestCookiesByREST(t *testing.T) {
	w, _ := newShelf(t, nil)
	cookie := authn.AccessCookie + "=" + w.token(nil)
	for _, method := range []string{http.MethodPatch, http.MethodDelete} {
		for site, want := range map[string]int{"same-origin": http.StatusOK, "cross-site": http.StatusForbidden, "": http.StatusForbidden} {
			header := http.Header{"Cookie": {cookie}}
			if site != "" {
				header.Set("Sec-Fetch-Site", site)
			}
			body := map[string]string{http.MethodPatch: "{}"}[method]
			response, said := w.rest(method, "/v1/organizations/org_1/notes/n1", body, header)
			assert.Equal(t, want, response.StatusCode, "%s %s: %s", method, site, said)
		}
	}
}

// Where everybody may call, nobody may use the cookies of others.
func TestCookiesWhereEverybodyMayCall(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.CORSOrigins = []string{"*"} })
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	cookie := authn.AccessCookie + "=" + w.token(nil)
	for site, want := range map[string]int{"same-origin": http.StatusOK, "same-site": http.StatusForbidden, "cross-site": http.StatusForbidden} {
		status, a := w.post(whoAmI, "{}", http.Header{"Cookie": {cookie}, "Sec-Fetch-Site": {site}, "Origin": {app}})
		assert.Equal(t, want, status, "%s: %s", site, a.raw)
	}
}
