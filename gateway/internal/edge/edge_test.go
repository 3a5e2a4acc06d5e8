package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/telemetry"
)

func TestSanitize(t *testing.T) {
	for name, kept := range map[string]bool{
		"Ashlar-Workload": false, "Ashlar_Workload": false, "X-Forwarded-For": false, "X_forwarded_for": false, "Forwarded": false,
		"Proxy-Authorization": false, "Remote-User": false, "Traceparent": false, "Te": false, "X-Real-Ip": false,
		"Authorization": true, "Content-Type": true, "Connect-Timeout-Ms": true, "Grpc-Timeout": true, "Accept-Encoding": true,
		"X-Grpc-Web": true, "X-User-Agent": true, "Acme-Ashlar": true, "X-Request-Id": true, "If-None-Match": true,
	} {
		header := http.Header{name: {"x"}}
		sanitize(header)
		assert.Equal(t, kept, len(header) == 1, name)
	}
	header := http.Header{"Connection": {"close, x-a", "X-B"}, "X-A": {"1"}, "X-B": {"2"}, "X-C": {"3"}}
	sanitize(header)
	assert.Equal(t, http.Header{"X-C": {"3"}}, header)
}

// No spelling of a name gets a header of ours through.
func FuzzSanitize(f *testing.F) {
	f.Add("aShLaR-wOrKlOaD")
	f.Add("ashlar_workload")
	f.Fuzz(func(t *testing.T, name string) {
		name = textproto.CanonicalMIMEHeaderKey(name)
		header := http.Header{name: {"x"}}
		sanitize(header)
		for left := range header {
			assert.NotRegexp(t, `(?i)^(ashlar|x[-_]forwarded)[-_]`, left)
		}
	})
}

type nobody struct{}

// Verify implements access.TokenVerifier.
func (nobody) Verify(context.Context, string) (authn.Principal, error) {
	return authn.Principal{}, connect.NewError(connect.CodeUnauthenticated, "no")
}

type never struct{ t testing.TB }

// RoundTrip implements http.RoundTripper.
func (n never) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/a.v1.S/M" || r.URL.Host != "a" {
		n.t.Errorf("%s went to %s", r.URL, r.URL.Host)
	}
	return nil, http.ErrServerClosed
}

// Nothing but the exact name of a procedure reaches a service, and whatever is asked for gets an answer.
func FuzzPath(f *testing.F) {
	t, err := telemetry.New(context.Background(), telemetry.Config{}, telemetry.Process{}, discard{})
	require.NoError(f, err)
	table := routes.NewTable([]*routes.Route{{Procedure: "/a.v1.S/M", Service: "a", Access: access.Public, Safe: true}})
	h, err := New(Parts{
		Tables: func() *routes.Table { return table }, Tokens: nobody{}, Limits: limit.New(), Own: http.NotFoundHandler(),
		RoundTripper: never{f}, Status: health.NewStatus(), Telemetry: t, MaxMessageBytes: 1 << 20, Settings: Settings{MaxTimeout: time.Second},
	})
	require.NoError(f, err)
	for _, path := range []string{"/a.v1.S/M", "//a.v1.S/M", "/a.v1.S%2fM", "/x/../a.v1.S/M", "/a.v1.S/M?encoding=json", "*", "http://b/a.v1.S/M"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			r, err := http.NewRequest(method, "http://x/", http.NoBody)
			require.NoError(t, err)
			if r.URL, err = r.URL.Parse(path); err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			exact := r.URL.Path == "/a.v1.S/M" && r.URL.RawPath == ""
			if !exact && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
				assert.Contains(t, []int{http.StatusNotFound, http.StatusNotImplemented}, w.Code)
			}
		}
	})
}

type discard struct{}

// Write implements io.Writer.
func (discard) Write(p []byte) (int, error) { return len(p), nil }
