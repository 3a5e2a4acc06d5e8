package gateway_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/authn"
)

const (
	readAll     = "/acme.reads.v1.ReadService/All"     // public
	readMine    = "/acme.reads.v1.ReadService/Mine"    // authenticated
	readGuarded = "/acme.reads.v1.ReadService/Guarded" // permission
)

// reads answers with the number of the call and who made it, and says what the test wants about how long that holds.
type reads struct {
	calls   atomic.Int64
	control atomic.Value // Cache-Control
	extra   sync.Map     // further fields
	hold    chan struct{}
}

func (r *reads) serve(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	n := r.calls.Add(1)
	var m structpb.Struct
	if err := stream.Receive(&m); err != nil {
		return err
	}
	if r.hold != nil && m.GetFields()["hold"] != nil {
		<-r.hold
	}
	info, _ := connect.CallInfoForServerContext(ctx)
	if control, _ := r.control.Load().(string); control != "" {
		info.ResponseHeader().Set("Cache-Control", control)
	}
	r.extra.Range(func(name, value any) bool { info.ResponseHeader().Set(name.(string), value.(string)); return true })
	if m.GetFields()["fail"] != nil {
		return connect.NewError(connect.CodeNotFound, "no")
	}
	p := authn.FromContext(ctx)
	who := fmt.Sprintf("%s %s %s", p.UserID, p.SessionID, p.OrganizationID)
	if m.GetFields()["same"] != nil {
		n = 0
	}
	return stream.Send(message("said", fmt.Sprintf("%d %s", n, who)))
}

func newReads(t *testing.T, cacheBytes int64) (*world, *reads) {
	t.Helper()
	w := newWorld(t, func(c *gateway.Config) {
		c.CacheBytes, c.CORSOrigins = cacheBytes, []string{"https://a.example.com", "https://b.example.com"}
	})
	r := &reads{hold: make(chan struct{})}
	set := schema("acme/reads/v1/reads.proto", "acme.reads.v1", "ReadService",
		method{name: "All", rule: public, pure: true}, method{name: "Mine", rule: authenticated, pure: true},
		method{name: "Guarded", rule: permission, pure: true})
	w.add(offer{
		name: "reads", id: "reads-1", version: "1.0.0", services: []string{"acme.reads.v1.ReadService"}, schema: set,
		policy: &kernelv1.GatewayPolicy{Expose: true},
		register: func(server *connect.Server) {
			for _, spec := range specs(t, set) {
				server.Register(connect.Method{Spec: spec, Handler: r.serve})
			}
		},
	})
	w.routable(readAll, true)
	return w, r
}

// read makes a Connect GET.
func (w *world) read(procedure, message string, header http.Header) (int, answer) {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodGet, w.url(procedure+"?connect=v1&encoding=json&message="+url.QueryEscape(message)), nil)
	require.NoError(w.t, err)
	maps.Copy(request.Header, header)
	return w.do(request)
}

func TestETag(t *testing.T) {
	w, r := newReads(t, 0)
	status, first := w.read(readAll, `{"same":1}`, nil)
	require.Equal(t, http.StatusOK, status)
	tag := first.header.Get("ETag")
	require.Regexp(t, `^"[\w-]{22}"$`, tag)
	require.Contains(t, first.header.Values("Vary"), "Accept-Encoding")
	for _, c := range []struct {
		match string
		want  int
	}{
		{tag, 304}, {"W/" + tag, 304}, {`"x", ` + tag, 304}, {"*", 304}, {`"x"`, 200}, {"", 200}, {tag[:10], 200},
	} {
		status, a := w.read(readAll, `{"same":1}`, http.Header{"If-None-Match": {c.match}})
		require.Equal(t, c.want, status, c.match)
		require.Equal(t, tag, a.header.Get("ETag"))
		if status == http.StatusNotModified {
			require.Empty(t, a.raw)
			require.Empty(t, a.header.Get("Content-Length"))
			require.Contains(t, a.header.Values("Vary"), "Accept-Encoding")
		}
	}
	_, other := w.read(readAll, `{}`, nil)
	require.NotEqual(t, tag, other.header.Get("ETag"))
	_, a := w.read(readMine, `{}`, bearer(w.token(nil)))
	require.Contains(t, a.header.Values("Vary"), "Authorization")
	require.Contains(t, a.header.Values("Vary"), "Cookie")
	_, a = w.post(readAll, `{}`, nil)
	require.Empty(t, a.header.Get("ETag"), "a POST has none")
	status, a = w.read(readAll, `{"fail":1}`, http.Header{"If-None-Match": {"*"}})
	require.Equal(t, http.StatusNotFound, status)
	require.Empty(t, a.header.Get("ETag"), "nor has an error")
	r.extra.Store("ETag", `"v7"`)
	_, a = w.read(readAll, `{}`, nil)
	require.Equal(t, `"v7"`, a.header.Get("ETag"), "the service's own stays")
	status, _ = w.read(readAll, `{}`, http.Header{"If-None-Match": {`"v7"`}})
	require.Equal(t, http.StatusNotModified, status)
	r.control.Store("max-age=60")
	before := r.calls.Load()
	_, _ = w.read(readAll, `{}`, nil)
	_, a = w.read(readAll, `{}`, nil)
	require.Equal(t, before+2, r.calls.Load(), "without a cache nothing is kept")
	require.Equal(t, "max-age=60", a.header.Get("Cache-Control"))
}

// Nobody gets what was said to another, to another session of his, or for another organization; nor without a token that
// holds now.
func TestCacheKeepsPersonsApart(t *testing.T) {
	w, r := newReads(t, 1<<20)
	person := func(user, session, organization string) http.Header {
		return bearer(w.token(func(c *authn.Claims) { c.Subject, c.SessionID, c.OrganizationID = user, session, organization }))
	}
	for _, control := range []string{"private, max-age=60", "public, max-age=60", "max-age=60", "s-maxage=60, max-age=60"} {
		r.control.Store(control)
		query := fmt.Sprintf(`{"q":%q}`, control)
		said := map[string]string{}
		for _, p := range [][3]string{{"usr_1", "ses_1", ""}, {"usr_2", "ses_2", ""}, {"usr_1", "ses_3", ""}, {"usr_1", "ses_1", "org_1"}, {"usr_1", "ses_1", "org_2"}} {
			for i := range 3 {
				status, a := w.read(readMine, query, person(p[0], p[1], p[2]))
				require.Equal(t, http.StatusOK, status)
				require.Contains(t, a.raw, fmt.Sprintf("%s %s %s", p[0], p[1], p[2]), control)
				if i == 0 {
					require.Empty(t, said[a.raw])
					said[a.raw] = "here"
					require.Empty(t, a.header.Get("Cache-Status"))
				} else {
					require.NotEmpty(t, said[a.raw], "from the cache")
					require.Contains(t, a.header.Get("Cache-Status"), "hit")
					require.NotEmpty(t, a.header.Get("Age"))
				}
			}
		}
		for _, header := range []http.Header{
			nil, bearer("guess"), bearer(w.token(func(c *authn.Claims) { c.ExpiresAt.Time = time.Now().Add(-time.Hour) })),
			{"Authorization": {"Basic dXNyXzE6"}},
		} {
			status, a := w.read(readMine, query, header)
			require.Equal(t, http.StatusUnauthorized, status)
			require.NotContains(t, a.raw, "usr_")
		}
	}

	t.Run("what takes a permission is asked for each time", func(t *testing.T) {
		before := r.calls.Load()
		for range 3 {
			_, a := w.read(readGuarded, `{}`, person("usr_1", "ses_1", ""))
			require.Empty(t, a.header.Get("Cache-Status"))
		}
		require.Equal(t, before+3, r.calls.Load())
	})
	t.Run("of what is public, only what is said to all", func(t *testing.T) {
		for control, want := range map[string]int64{"private, max-age=60": 3, "max-age=60": 1} {
			r.control.Store(control)
			before := r.calls.Load()
			for range 3 {
				_, a := w.read(readAll, fmt.Sprintf(`{"p":%q}`, control), person("usr_1", "ses_1", ""))
				require.NotContains(t, a.raw, "usr_", "the credential goes no further")
			}
			require.Equal(t, before+want, r.calls.Load(), control)
		}
	})
	t.Run("nor does a page get the headers that were for another", func(t *testing.T) {
		for _, origin := range []string{"https://a.example.com", "https://b.example.com", ""} {
			header := http.Header{}
			var want []string
			if origin != "" {
				header.Set("Origin", origin)
				want = []string{origin}
			}
			_, a := w.read(readAll, `{"p":"max-age=60"}`, header)
			require.Contains(t, a.header.Get("Cache-Status"), "hit")
			require.Equal(t, want, a.header.Values("Access-Control-Allow-Origin"))
		}
	})
}

func TestWhatIsKeptAndWhatIsNot(t *testing.T) {
	w, r := newReads(t, 1<<20)
	n := 0
	twice := func(control string, request http.Header, message string) int64 {
		r.control.Store(control)
		n++
		before := r.calls.Load()
		for range 2 {
			_, _ = w.read(readAll, fmt.Sprintf(message, n), request)
		}
		return r.calls.Load() - before
	}
	const plain = `{"q":%d}`
	assert.EqualValues(t, 1, twice("max-age=60", nil, plain))
	assert.EqualValues(t, 2, twice("", nil, plain), "a service that says nothing")
	assert.EqualValues(t, 2, twice("no-store, max-age=60", nil, plain))
	assert.EqualValues(t, 2, twice("max-age=60", http.Header{"Cache-Control": {"no-cache"}}, plain), "the caller wants it anew")
	assert.EqualValues(t, 2, twice("max-age=60", http.Header{"Cookie": {"a=b"}}, plain))
	assert.EqualValues(t, 2, twice("max-age=60", nil, `{"q":%d,"fail":1}`), "errors")
	r.extra.Store("Vary", "X-Tenant")
	assert.EqualValues(t, 2, twice("max-age=60", nil, plain))
	r.extra.Delete("Vary")
	r.extra.Store("Set-Cookie", "a=b")
	assert.EqualValues(t, 2, twice("max-age=60", nil, plain))
	r.extra.Delete("Set-Cookie")

	t.Run("a POST is none of it", func(t *testing.T) {
		r.control.Store("max-age=60")
		_, _ = w.read(readAll, `{}`, nil)
		before := r.calls.Load()
		_, _ = w.post(readAll, `{}`, nil)
		assert.Equal(t, before+1, r.calls.Load())
	})
	t.Run("encodings are apart", func(t *testing.T) {
		message := `{"long":"` + fmt.Sprintf("%0500d", 1) + `"}`
		_, plain := w.read(readAll, message, http.Header{"Accept-Encoding": {"identity"}})
		_, packed := w.read(readAll, message, http.Header{"Accept-Encoding": {"gzip"}})
		assert.Empty(t, packed.header.Get("Cache-Status"))
		_, again := w.read(readAll, message, http.Header{"Accept-Encoding": {"identity"}})
		assert.Equal(t, plain.raw, again.raw)
		assert.Contains(t, again.header.Get("Cache-Status"), "hit")
	})
	t.Run("hosts are apart, since services are told of them", func(t *testing.T) {
		for _, host := range []string{"a.example.com", "b.example.com"} {
			request, err := http.NewRequest(http.MethodGet, w.url(readAll+"?connect=v1&encoding=json&message=%7B%22h%22%3A1%7D"), nil)
			require.NoError(t, err)
			request.Host = host
			_, a := w.do(request)
			assert.Empty(t, a.header.Get("Cache-Status"), host)
		}
	})
	t.Run("a tag is looked at on a hit, too", func(t *testing.T) {
		_, first := w.read(readAll, `{"t":1}`, nil)
		before := r.calls.Load()
		status, a := w.read(readAll, `{"t":1}`, http.Header{"If-None-Match": {first.header.Get("ETag")}})
		assert.Equal(t, http.StatusNotModified, status)
		assert.Empty(t, a.raw)
		assert.Equal(t, before, r.calls.Load())
	})
	assert.Positive(t, w.counted("ashlar_gateway_cache_requests_total", map[string]string{"outcome": "hit"}))
	assert.Positive(t, w.counted("ashlar_gateway_cache_bytes", nil))
}

// Many who ask for the same at once are one call; where that one fails, they are not kept waiting.
func TestCacheUnderAStampede(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		want    int64
	}{"kept": {`{"hold":1}`, 1}, "not kept": {`{"hold":1,"fail":1}`, 20}} {
		t.Run(name, func(t *testing.T) {
			w, r := newReads(t, 1<<20)
			r.control.Store("max-age=60")
			_, _ = w.read(readAll, `{}`, nil)
			before := r.calls.Load()
			var done sync.WaitGroup
			for range 20 {
				request, err := http.NewRequest(http.MethodGet, w.url(readAll+"?connect=v1&encoding=json&message="+url.QueryEscape(c.message)), nil)
				require.NoError(t, err)
				client := newHTTPClient(t, false)
				done.Go(func() {
					response, err := client.Do(request)
					if assert.NoError(t, err) {
						_, _ = io.Copy(io.Discard, response.Body)
						_ = response.Body.Close()
					}
				})
			}
			require.Eventually(t, func() bool { return w.counted("ashlar_gateway_requests_in_flight", nil) == 20 }, within, time.Millisecond)
			require.Eventually(t, func() bool { return r.calls.Load() > before }, within, time.Millisecond)
			close(r.hold)
			done.Wait()
			assert.Equal(t, before+c.want, r.calls.Load())
		})
	}
}
