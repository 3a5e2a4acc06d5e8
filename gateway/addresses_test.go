package gateway_test

import (
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/rpcerror"
)

func newAddressWorld(t *testing.T, change func(*gateway.Config)) (*world, *echo) {
	t.Helper()
	w := newWorld(t, change)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	return w, e
}

// What a trusted proxy says is what services are told, on both ways through the gateway.
func TestAddressBehindAProxy(t *testing.T) {
	w, e := newAddressWorld(t, func(c *gateway.Config) { c.TrustedProxies = []string{"127.0.0.0/8", "10.0.0.0/8"} })
	for name, c := range map[string]struct {
		header     http.Header
		from, with string
	}{
		"nothing":       {http.Header{}, "127.0.0.1", "http"},
		"a caller":      {http.Header{"X-Forwarded-For": {"6.6.6.6, 192.0.2.1, 10.0.0.1"}, "X-Forwarded-Proto": {"https"}}, "192.0.2.1", "https"},
		"IPv6":          {http.Header{"X-Forwarded-For": {"[2001:db8::1]:80"}, "X-Forwarded-Proto": {"http"}}, "2001:db8::1", "http"},
		"nonsense":      {http.Header{"X-Forwarded-For": {"nonsense"}, "X-Forwarded-Proto": {"gopher"}}, "127.0.0.1", "http"},
		"two schemes":   {http.Header{"X-Forwarded-Proto": {"https", "http"}}, "127.0.0.1", "http"},
		"by underscore": {http.Header{"X_Forwarded_For": {"6.6.6.6"}}, "127.0.0.1", "http"},
		"by others":     {http.Header{"Forwarded": {"for=6.6.6.6;proto=https"}, "X-Real-Ip": {"6.6.6.6"}}, "127.0.0.1", "http"},
	} {
		for _, path := range []string{change, count} {
			contentType := "application/json"
			body := "{}"
			if path == count {
				contentType, body = "application/connect+json", "\x00\x00\x00\x00\x02{}"
			}
			header := c.header.Clone()
			header.Set("Content-Type", contentType)
			status, _ := w.post(path, body, header)
			require.Equal(t, http.StatusOK, status, name)
			seen := http.Header(e.seen())
			assert.Equal(t, []string{c.from}, seen["X-Forwarded-For"], "%s %s", name, path)
			assert.Equal(t, []string{c.with}, seen["X-Forwarded-Proto"], "%s %s", name, path)
			assert.Empty(t, seen["Forwarded"], name)
			assert.Empty(t, seen["X-Real-Ip"], name)
		}
	}
}

// Each caller behind a proxy has a limit of his own; a stranger cannot get another one by saying who he is.
func TestRateLimitBehindAProxy(t *testing.T) {
	limited := func(w *world) (refused int) {
		for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"} {
			if status, _ := w.post(look, "{}", http.Header{"X-Forwarded-For": {from}}); status == http.StatusTooManyRequests {
				refused++
			}
		}
		return refused
	}
	few := func(c *gateway.Config) { c.RateLimit, c.RateBurst = 0.001, 3 }
	w, _ := newAddressWorld(t, func(c *gateway.Config) { few(c); c.TrustedProxies = []string{"127.0.0.1"} })
	assert.Zero(t, limited(w))
	w, _ = newAddressWorld(t, few)
	assert.GreaterOrEqual(t, limited(w), 3)
}

func TestAddressesThatAreDenied(t *testing.T) {
	w, e := newAddressWorld(t, func(c *gateway.Config) {
		c.TrustedProxies, c.Allow, c.Deny = []string{"127.0.0.1"}, []string{"127.0.0.1", "192.0.2.0/24", "2001:db8::/32"}, []string{"192.0.2.66", "2001:db8:6::/48"}
	})
	for from, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.66": false, "192.0.3.1": false, "::ffff:192.0.2.66": false, "::ffff:192.0.2.1": true,
		"192.0.2.1, 192.0.2.66": false, "192.0.2.66, 192.0.2.1": true, "2001:db8::1": true, "2001:db8:6::1": false, "nonsense": true,
	} {
		before := e.count()
		status, a := w.post(look, "{}", http.Header{"X-Forwarded-For": {from}})
		if want {
			assert.Equal(t, http.StatusOK, status, from)
			continue
		}
		assert.Equal(t, http.StatusForbidden, status, from)
		assert.Equal(t, "permission_denied", a.Code, from)
		assert.Equal(t, "ADDRESS_DENIED", a.reason(), from)
		assert.Equal(t, before, e.count(), from)
	}
	assert.Contains(t, w.metrics(), `ashlar_gateway_requests_total{code="permission_denied",procedure="unknown",protocol="connect"}`)
}

// It comes before all else: whatever is asked for, and in the caller's protocol.
func TestWhatIsDenied(t *testing.T) {
	denied := func(c *gateway.Config) { c.Deny, c.CORSOrigins = []string{"127.0.0.0/8"}, []string{"*"} }
	w := newWorld(t, denied)
	w.add(echoOffer(t, newEcho()))
	for _, path := range []string{look, "/healthz", "/readyz", "/", "/.well-known/jwks.json", "/no.such.Service/Method"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodHead} {
			request, err := http.NewRequest(method, w.url(path), nil)
			require.NoError(t, err)
			request.Header.Set("Origin", "https://app.example.com")
			request.Header.Set("Access-Control-Request-Method", "POST")
			request.Header.Set("X-Forwarded-For", "192.0.2.1") // nobody is trusted
			status, a := w.do(request)
			assert.Equal(t, http.StatusForbidden, status, "%s %s", method, path)
			assert.Empty(t, a.header.Get("Access-Control-Allow-Origin"), "%s %s", method, path)
		}
	}
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		err := w.client(h2, options...).CallUnary(t.Context(), spec(t, look), message("text", "x"), &structpb.Struct{})
		requireError(t, err, connect.CodePermissionDenied, "ADDRESS_DENIED")
		assert.NotEqual(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err), "it is not about what he may do")
	})
}
