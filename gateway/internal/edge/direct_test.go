package edge

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/telemetry"
)

// maxAllocations is how many pieces of memory the gateway may ask for on behalf of one unary call, with everything on,
// beside what net/http needs for its side. It is a count, so that it says the same on every machine; raise it only for a
// reason that is worth 10,000 allocations a second.
const maxAllocations = 9

// everybody takes every token for the same person.
type everybody struct{}

// Verify implements access.TokenVerifier.
func (everybody) Verify(context.Context, string) (authn.Principal, error) {
	return authn.Principal{Kind: authn.User, UserID: "usr_1", ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// newDirect returns a handler with everything on before an instance that answers at once, and a request for it.
func newDirect(t testing.TB) (*Handler, func()) {
	directory := oneInstance(t, instantly)
	pool := upstream.NewPool()
	t.Cleanup(pool.Close)
	h := everythingOn(t, Parts{Direct: &Direct{Balancer: balance.New(directory, nil), Pool: pool}})
	body := &rewinding{}
	header := http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer token"}, "User-Agent": {"test"}, "Connect-Protocol-Version": {"1"},
		"Accept-Encoding": {"identity"}, "Content-Length": {"2"},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x"+askMe, body)
	require.NoError(t, err)
	request.ContentLength, request.Header, request.RemoteAddr = 2, header, "127.0.0.1:1234"
	w := &silentWriter{header: http.Header{}}
	return h, func() {
		body.left = "{}"
		clear(w.header)
		h.ServeHTTP(w, request)
		if w.status != http.StatusOK || w.written != 2 {
			t.Errorf("status %d, %d bytes", w.status, w.written)
		}
		w.status, w.written = 0, 0
	}
}

// everythingOn returns a handler of a procedure with everything on; parts says how it reaches the instance.
func everythingOn(t testing.TB, parts Parts) *Handler {
	t.Helper()
	tel, err := telemetry.New(context.Background(), telemetry.Config{}, telemetry.Process{}, discard{})
	require.NoError(t, err)
	table := routes.NewTable([]*routes.Route{{Procedure: askMe, Service: "a", Access: access.Authenticated, Load: overload.NewService().Procedure(askMe)}})
	parts.Tables, parts.Tokens, parts.Limits = func() *routes.Table { return table }, everybody{}, limit.New()
	parts.Own, parts.Status, parts.Telemetry, parts.MaxMessageBytes = http.NotFoundHandler(), health.NewStatus(), tel, 1<<20
	parts.Settings = Settings{
		MaxTimeout: time.Minute, CORSOrigins: []string{"https://app.example.com"}, RateLimit: routes.Limit{PerSecond: 1e9, Burst: 1e9},
	}
	h, err := New(parts)
	require.NoError(t, err)
	return h
}

// oneInstance returns a directory with the one instance of a service: serve has its first connection, and it takes no other.
func oneInstance(t testing.TB, serve func(net.Conn)) discovery.Directory {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		serve(c)
	}()
	directory := memory.New()
	require.NoError(t, directory.Register(context.Background(), discovery.Registration{
		Instance: discovery.Instance{ID: "a-1", Service: "a", Address: listener.Addr().String()},
	}))
	return directory
}

// instantly answers requests that are all alike, without a parser: what it allocates would count.
func instantly(c net.Conn) {
	buffer := make([]byte, 4096)
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Tue, 24 Nov 2026 17:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}")
	for {
		if _, err := c.Read(buffer); err != nil { // one write, one read: they are small
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// rewinding is a body that can be read again and again.
type rewinding struct{ left string }

// Read implements io.Reader.
func (r *rewinding) Read(p []byte) (int, error) {
	if r.left == "" {
		return 0, io.EOF
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// silentWriter is an http.ResponseWriter that allocates nothing.
type silentWriter struct {
	header          http.Header
	status, written int
}

// Header implements http.ResponseWriter.
func (w *silentWriter) Header() http.Header { return w.header }

// SetReadDeadline is what http.ResponseController looks for.
func (w *silentWriter) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is what http.ResponseController looks for.
func (w *silentWriter) SetWriteDeadline(time.Time) error { return nil }

// WriteHeader implements http.ResponseWriter.
func (w *silentWriter) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *silentWriter) Write(p []byte) (int, error) { w.written += len(p); return len(p), nil }

// Flush implements http.Flusher.
func (w *silentWriter) Flush() {}

func TestAllocationsOfAUnaryCall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	_, call := newDirect(t)
	call() // dials
	got := testing.AllocsPerRun(500, call)
	t.Logf("%.1f allocations", got)
	require.LessOrEqual(t, got, float64(maxAllocations))
}

func BenchmarkUnaryCall(b *testing.B) {
	_, call := newDirect(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
