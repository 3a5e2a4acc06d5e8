package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
)

// http3 returns a client that speaks nothing else, and trusts the certificate that is in the file now.
func (w *tlsWorld) http3(t testing.TB) *http.Client {
	t.Helper()
	certificate, err := os.ReadFile(w.certFile)
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, QUICConfig: patientQUIC(), DisableCompression: true}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport}
}

// patientQUIC is for a machine that stands still: a handshake has 5 s otherwise.
func patientQUIC() *quic.Config { return &quic.Config{HandshakeIdleTimeout: within} }

func newHTTP3World(t testing.TB) *tlsWorld {
	t.Helper()
	return newTLSWorld(t, func(c *gateway.Config) { c.HTTP3 = true })
}

func TestHTTP3(t *testing.T) {
	const requests = 30
	w := newTLSWorld(t, func(c *gateway.Config) { c.HTTP3, c.MaxConnectionRequests = true, requests })
	client := w.http3(t)
	for name, options := range dialects {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, w.look(t, client, options...))
			seen := http.Header(w.echo.seen())
			assert.Equal(t, []string{"https"}, seen["X-Forwarded-Proto"])
			assert.Equal(t, []string{"127.0.0.1"}, seen["X-Forwarded-For"])
			assert.Empty(t, seen["Alt-Svc"])

			failing, err := w.over(client, options...).CallServerStream(t.Context(), spec(t, count), message("do", "fail"))
			require.NoError(t, err)
			defer func() { _ = failing.Close() }()
			assert.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(failing.Receive(&structpb.Struct{})))

			stream, err := w.over(client, options...).CallClientStream(t.Context(), spec(t, converse))
			require.NoError(t, err)
			defer func() { _ = stream.Close() }()
			for _, text := range []string{"a", "b", "c"} {
				require.NoError(t, stream.Send(message("text", text)))
				var m structpb.Struct
				require.NoError(t, stream.Receive(&m))
				assert.Equal(t, text, m.AsMap()["text"])
			}
			require.NoError(t, stream.CloseSend())
			var m structpb.Struct
			require.NoError(t, stream.Receive(&m))
			assert.Equal(t, "bye", m.AsMap()["text"])
			require.ErrorIs(t, stream.Receive(&m), io.EOF)
		})
	}
	t.Run("requests of a connection are bounded", func(t *testing.T) {
		conn, err := quic.DialAddr(t.Context(), w.gateway.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, patientQUIC())
		require.NoError(t, err)
		defer func() { _ = conn.CloseWithError(0, "") }()
		for range requests {
			_, err := conn.OpenStream()
			require.NoError(t, err)
		}
		_, err = conn.OpenStream()
		require.ErrorIs(t, err, &quic.StreamLimitReachedError{})
	})
	t.Run("others learn of it", func(t *testing.T) {
		response, err := w.https(t, true).Get("https://" + w.gateway.Address() + "/healthz")
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		assert.Regexp(t, `^h3=":\d+"; ma=86400$`, response.Header.Get("Alt-Svc"))
	})
	t.Run("cancellation reaches the handler", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := w.over(client).CallServerStream(ctx, spec(t, count), message("do", "send-and-wait"))
		require.NoError(t, err)
		require.NoError(t, stream.Receive(&structpb.Struct{}))
		<-w.echo.waiting
		cancel()
		select {
		case <-w.echo.ended:
		case <-time.After(within):
			t.Error("the handler still waits")
		}
		_ = stream.Close()
	})
}

// Connections of HTTP/3 count beside those of TCP, until they end.
func TestConnectionsOfHTTP3AreBounded(t *testing.T) {
	const most = 4
	w := newTLSWorld(t, func(c *gateway.Config) { c.HTTP3, c.MaxAddressConnections = true, most })
	w.https(t, true).CloseIdleConnections()
	dial := func() (*quic.Conn, error) {
		return quic.DialAddr(t.Context(), w.gateway.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, patientQUIC())
	}
	var open []*quic.Conn
	require.Eventually(t, func() bool {
		conn, err := dial()
		if err == nil {
			open = append(open, conn)
		}
		return err != nil
	}, within, time.Millisecond)
	require.LessOrEqual(t, len(open), most)
	require.NotEmpty(t, open)
	_, err := dial()
	var refused *quic.TransportError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, quic.ConnectionRefused, refused.ErrorCode)
	require.NoError(t, open[0].CloseWithError(0, ""))
	require.Eventually(t, func() bool {
		conn, err := dial()
		if err == nil {
			open[0] = conn
		}
		return err == nil
	}, within, 10*time.Millisecond, "one that has ended makes room")
	for _, conn := range open {
		require.NoError(t, conn.CloseWithError(0, ""))
	}
}

// Whoever announces a body over HTTP/3 and does not send it holds nothing for longer than his call may last.
func TestBodyThatDoesNotComeOverHTTP3(t *testing.T) {
	w := newTLSWorld(t, func(c *gateway.Config) { c.HTTP3, c.MaxTimeout = true, 100*time.Millisecond })
	client := w.http3(t)
	for _, length := range []int64{100, -1} { // known, and not
		body, hold := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.gateway.Address()+look, body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.ContentLength = length
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if response, err := client.Do(request); err == nil {
				_ = response.Body.Close()
			}
		}()
		select {
		case <-ended:
		case <-time.After(within):
			assert.Fail(t, "the call still waits", "length %d", length)
		}
		_ = hold.Close()
		<-ended
	}
	require.Eventually(t, func() bool { return w.counted("ashlar_gateway_requests_in_flight", nil) == 0 }, within, time.Millisecond)
}

// A GET over HTTP/3 says by its end only that it has no body; it is a GET like any other.
func TestGETOverHTTP3(t *testing.T) {
	w := newHTTP3World(t)
	response, err := w.http3(t).Get("https://" + w.gateway.Address() + look + "?connect=v1&encoding=json&message=%7B%7D")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.NotEmpty(t, response.Header.Get("ETag"))
}

// A certificate that is read anew is that of HTTP/3, too.
func TestCertificateOfHTTP3IsReadAnew(t *testing.T) {
	w := newHTTP3World(t)
	old := w.http3(t)
	require.NoError(t, w.look(t, old))
	w.write(w.fresh())
	require.Eventually(t, func() bool { return w.look(t, w.http3(t)) == nil }, within, 50*time.Millisecond)
	require.NoError(t, w.look(t, old), "an old connection goes on")
}

// What is under way ends well, and a client that keeps its connection does not hold up the stop.
func TestHTTP3IsDrained(t *testing.T) {
	w := newHTTP3World(t)
	idle := w.http3(t)
	require.NoError(t, w.look(t, idle))
	stream, err := w.over(w.http3(t)).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	says := func(text string) {
		require.NoError(t, stream.Send(message("text", text)))
		require.NoError(t, stream.Receive(&structpb.Struct{}))
	}
	says("before")
	stopped := make(chan error, 1)
	go func() { stopped <- w.group.Stop(context.Background()) }()
	require.Eventually(t, func() bool {
		return w.look(t, w.https(t, false)) != nil
	}, within, 5*time.Millisecond, "it takes nothing new")
	says("after")
	require.NoError(t, stream.CloseSend())
	var m structpb.Struct
	require.NoError(t, stream.Receive(&m))
	assert.Equal(t, "bye", m.AsMap()["text"])
	require.NoError(t, <-stopped)
	// Nobody says no: a client waits until it has had enough.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, w.over(w.http3(t)).CallUnary(ctx, spec(t, look), message("text", "x"), &structpb.Struct{}))
}

func TestNoHTTP3UnlessAsked(t *testing.T) {
	w := newTLSWorld(t, nil)
	response, err := w.https(t, true).Get("https://" + w.gateway.Address() + "/healthz")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	assert.Empty(t, response.Header.Get("Alt-Svc"))
}

// Whoever announces a request and does not send it holds nothing past his deadline, whatever he speaks.
func TestWhoDoesNotSendOverHTTP3(t *testing.T) {
	w := newHTTP3World(t)
	ended := func() float64 {
		return w.counted("ashlar_gateway_requests_total", map[string]string{"code": "deadline_exceeded"})
	}
	for spoken, client := range map[string]*http.Client{"HTTP/2": w.https(t, true), "HTTP/3": w.http3(t)} {
		for name, c := range map[string]struct {
			path, mediaType string
			length          int64
		}{
			"small":          {look, "application/json", 2},
			"large":          {look, "application/json", 1 << 20},
			"of any length":  {look, "application/json", -1},
			"for a stream":   {count, "application/connect+json", 7},
			"for the health": {"/grpc.health.v1.Health/Check", "application/json", 2},
		} {
			t.Run(spoken+" "+name, func(t *testing.T) {
				before := ended()
				body, never := io.Pipe()
				defer func() { _ = never.Close() }()
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.gateway.Address()+c.path, body)
				require.NoError(t, err)
				request.ContentLength = c.length
				request.Header.Set("Content-Type", c.mediaType)
				request.Header.Set("Connect-Timeout-Ms", "100")
				go func() {
					if response, err := client.Do(request); err == nil {
						_ = response.Body.Close()
					}
				}()
				require.Eventually(t, func() bool { return ended() > before }, within, 5*time.Millisecond)
				assert.Zero(t, w.counted("ashlar_gateway_requests_in_flight", nil))
			})
		}
	}
}
