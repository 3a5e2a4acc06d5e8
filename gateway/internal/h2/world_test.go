package h2

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// within bounds what should take a moment.
const within = 20 * time.Second

// world is a transport and an instance.
type world struct {
	t         *testing.T
	transport *Transport
	server    *http.Server
	address   string
}

// newWorld starts an instance by net/http.
func newWorld(t *testing.T, handler http.HandlerFunc) *world {
	t.Helper()
	listener := listen(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	w := &world{t: t, transport: New(), server: &http.Server{Handler: handler, Protocols: protocols}, address: listener.Addr().String()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = w.server.Serve(listener)
	}()
	t.Cleanup(func() {
		w.transport.CloseIdleConnections()
		_ = w.server.Close()
		<-served
	})
	return w
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// send sends a request.
func (w *world) send(ctx context.Context, body io.Reader, length int64) (*http.Response, error) {
	return send(ctx, w.transport, w.address, body, length)
}

func send(ctx context.Context, transport *Transport, address string, body io.Reader, length int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/a.v1.S/M", body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = length
	request.Header.Set("Te", "trailers")
	request.Header.Set("X-Own", "b")
	return transport.RoundTrip(request)
}

// exchange sends a request and reads the answer.
func (w *world) exchange(body io.Reader, length int64) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	response, err := w.send(ctx, body, length)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return response, string(data), err
}

// rawInstance is an instance that says what a test wants, on each connection.
func rawInstance(t testing.TB, say func(fr *http2.Framer, conn net.Conn)) string {
	t.Helper()
	listener := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(within))
				if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				say(http2.NewFramer(conn, conn), conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// awaitRequest answers settings until a request begins, and returns its stream.
func awaitRequest(fr *http2.Framer) uint32 {
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return 0
		}
		if f, ok := frame.(*http2.HeadersFrame); ok {
			return f.StreamID
		}
	}
}

// block encodes headers.
func block(fields ...string) []byte {
	var out writer
	encoder := hpack.NewEncoder(&out)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return out
}

type writer []byte

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

func answer(fr *http2.Framer, stream uint32, end bool, fields ...string) {
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(fields...), EndHeaders: true, EndStream: end})
}

// drain reads until the connection ends.
func drain(fr *http2.Framer) {
	for {
		if _, err := fr.ReadFrame(); err != nil {
			return
		}
	}
}
