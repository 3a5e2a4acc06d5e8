package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	"ashlar.dev/gateway/internal/certificate/certificatetest"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
)

// tlsWorld is a world whose gateway speaks TLS.
type tlsWorld struct {
	*world

	certFile, keyFile string
	echo              *echo
}

func newTLSWorld(t testing.TB, change func(*gateway.Config)) *tlsWorld {
	t.Helper()
	folder := t.TempDir()
	w := &tlsWorld{
		world: newEmptyWorld(t), certFile: filepath.Join(folder, "cert.pem"), keyFile: filepath.Join(folder, "key.pem"), echo: newEcho(),
	}
	w.write(w.fresh())
	w.addAuth()
	w.add(echoOffer(t, w.echo))
	w.start(func(c *gateway.Config) {
		c.TLSCertFile, c.TLSKeyFile = w.certFile, w.keyFile
		if change != nil {
			change(c)
		}
	})
	require.Eventually(t, func() bool { return w.look(t, w.https(t, false)) == nil }, within, 5*time.Millisecond)
	return w
}

// fresh returns a certificate and a key.
func (w *tlsWorld) fresh() (certificate, key string) {
	now := time.Now()
	return certificatetest.New(w.t, now.Add(-time.Hour), now.Add(24*time.Hour))
}

func (w *tlsWorld) write(certificate, key string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.certFile, []byte(certificate), 0o644))
	require.NoError(w.t, os.WriteFile(w.keyFile, []byte(key), 0o600))
}

// https returns a client that trusts the certificate that is in the file now.
func (w *tlsWorld) https(t testing.TB, h2 bool) *http.Client {
	t.Helper()
	certificate, err := os.ReadFile(w.certFile)
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: trusted}, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// over returns an RPC client on top of an HTTP client.
func (w *tlsWorld) over(client *http.Client, options ...connecthttp.Option) *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(client, "https://"+w.gateway.Address(), options...))
}

func (w *tlsWorld) look(t testing.TB, client *http.Client, options ...connecthttp.Option) error {
	t.Helper()
	return w.over(client, options...).CallUnary(t.Context(), spec(t, look), message("text", "x"), &structpb.Struct{})
}

func TestTLS(t *testing.T) {
	w := newTLSWorld(t, nil)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		require.NoError(t, w.look(t, w.https(t, h2), options...))
		assert.Equal(t, []string{"https"}, http.Header(w.echo.seen())["X-Forwarded-Proto"])
	})
	t.Run("both sides at once", func(t *testing.T) {
		stream, err := w.over(w.https(t, true), connecthttp.WithGRPC()).CallClientStream(t.Context(), spec(t, converse))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		for _, text := range []string{"a", "b"} {
			require.NoError(t, stream.Send(message("text", text)))
			var m structpb.Struct
			require.NoError(t, stream.Receive(&m))
			assert.Equal(t, text, m.AsMap()["text"])
		}
	})
	t.Run("plain text", func(t *testing.T) {
		response, err := newHTTPClient(t, false).Get("http://" + w.gateway.Address() + "/healthz")
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		assert.Equal(t, http.StatusBadRequest, response.StatusCode)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, "Client sent an HTTP request to an HTTPS server.\n", string(body))
	})
	t.Run("an old version", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.gateway.Address(), &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
		if err == nil {
			_ = conn.Close()
		}
		require.ErrorContains(t, err, "protocol version")
	})
}

func TestCertificateIsReadAnew(t *testing.T) {
	w := newTLSWorld(t, nil)
	old := w.https(t, true)
	stream, err := w.over(old, connecthttp.WithGRPC()).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	says := func(text string) {
		require.NoError(t, stream.Send(message("text", text)))
		require.NoError(t, stream.Receive(&structpb.Struct{}))
	}
	says("before")
	shows := func(line string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(w.metrics(), line) }, within, 5*time.Millisecond, line)
	}
	certificate, key := w.fresh()
	_, other := w.fresh()
	first, err := os.ReadFile(w.certFile)
	require.NoError(t, err)

	w.write(certificate, other)
	shows("ashlar_gateway_tls_certificate_last_reload_successful 0\n")
	require.NoError(t, os.WriteFile(w.certFile, first, 0o644)) // what the clients trust
	require.NoError(t, w.look(t, w.https(t, false)), "the old one still holds for new connections")
	assert.Contains(t, w.out.String(), "private key does not match public key")

	w.write(certificate, key)
	shows(`ashlar_gateway_tls_certificate_reloads_total{outcome="applied"} 1` + "\n")
	shows("ashlar_gateway_tls_certificate_last_reload_successful 1\n")
	require.NoError(t, w.look(t, w.https(t, false)), "new connections see the new one")
	says("after")
	require.NoError(t, w.look(t, old), "an old connection goes on")
	assert.Contains(t, w.metrics(), "ashlar_gateway_tls_certificate_expiry_timestamp_seconds ")
}

// Without its certificate the gateway does not start: it must not fall back to plain text.
func TestTLSFailsClosed(t *testing.T) {
	w := newEmptyWorld(t)
	folder := t.TempDir()
	cfg := gateway.Config{Addr: "127.0.0.1:0", TLSCertFile: filepath.Join(folder, "cert.pem"), TLSKeyFile: filepath.Join(folder, "key.pem")}
	tel, err := telemetry.New(t.Context(), cfg.Config.Config, telemetry.Process{}, io.Discard)
	require.NoError(t, err)
	g, err := gateway.New(cfg, w.env, tel, nil)
	require.NoError(t, err)
	group, err := lifecycle.NewGroup(tel.Log, g.Components()...)
	require.NoError(t, err)
	require.ErrorContains(t, group.Start(context.Background()), cfg.TLSCertFile)
	assert.Empty(t, g.Address())
}

func TestWarningAboutPlainText(t *testing.T) {
	const says = "let a proxy before it speak TLS"
	w := newEmptyWorld(t)
	w.start(nil)
	assert.NotContains(t, w.out.String(), says)
	w = newEmptyWorld(t)
	w.start(func(c *gateway.Config) { c.Addr = "0.0.0.0:0" })
	assert.Contains(t, w.out.String(), says)
}

// Operators see connections under TLS as they are: what is spoken in them, and until they are closed.
func TestConnectionsUnderTLS(t *testing.T) {
	w := newTLSWorld(t, nil)
	shown := func() (over map[string]string) {
		var page struct {
			Connections []struct {
				HTTP, State string
				TLS         bool
			}
		}
		w.ops("/connections", &page)
		over = map[string]string{}
		for _, c := range page.Connections {
			assert.True(t, c.TLS)
			over[c.HTTP] = c.State
		}
		return over
	}
	first, second := w.https(t, false), w.https(t, true)
	require.NoError(t, w.look(t, first))
	require.NoError(t, w.look(t, second))
	stream, err := w.over(second).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	require.NoError(t, stream.Send(message("text", "hello")))
	require.NoError(t, stream.Receive(&structpb.Struct{}))
	require.Eventually(t, func() bool { over := shown(); return over["1.1"] == "idle" && over["2"] == "active" }, within, 5*time.Millisecond)
	require.NoError(t, stream.Close())
	require.Eventually(t, func() bool { return shown()["2"] == "idle" }, within, 5*time.Millisecond)
	second.CloseIdleConnections()
	require.Eventually(t, func() bool { _, open := shown()["2"]; return !open }, within, 5*time.Millisecond)
}
