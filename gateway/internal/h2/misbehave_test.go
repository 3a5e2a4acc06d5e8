package h2

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// An instance that does not keep to the protocol ends what is under way with an error: nothing hangs, and nothing of it is
// taken for an answer.
func TestInstancesThatMisbehave(t *testing.T) {
	t.Parallel()
	const window = streamWindow
	for name, say := range map[string]func(fr *http2.Framer, stream uint32){
		"ends":                  func(*http2.Framer, uint32) {},
		"body without a head":   func(fr *http2.Framer, s uint32) { _ = fr.WriteData(s, true, []byte("x")) },
		"no status":             func(fr *http2.Framer, s uint32) { answer(fr, s, true, "a", "b") },
		"two":                   func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "200", ":status", "200") },
		"status of three words": func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "200 OK") },
		"switched protocol":     func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "101") },
		"interim, then nothing": func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "103") },
		"field of a connection": func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "200", "connection", "close") },
		"upper case":            func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "200", "A", "b") },
		"line end in a field":   func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "200", "a", "b\r\nc: d") },
		"too many headers": func(fr *http2.Framer, s uint32) {
			answer(fr, s, true, ":status", "200", "a", strings.Repeat("x", 80<<10))
		},
		"two lengths": func(fr *http2.Framer, s uint32) {
			answer(fr, s, true, ":status", "200", "content-length", "0", "content-length", "0")
		},
		"length is no number": func(fr *http2.Framer, s uint32) { answer(fr, s, true, ":status", "200", "content-length", "+1") },
		"shorter than it says": func(fr *http2.Framer, s uint32) {
			answer(fr, s, false, ":status", "200", "content-length", "2")
			_ = fr.WriteData(s, true, []byte("x"))
		},
		"longer than it says": func(fr *http2.Framer, s uint32) {
			answer(fr, s, false, ":status", "200", "content-length", "2")
			_ = fr.WriteData(s, true, []byte("xxx"))
		},
		"trailers that do not end": func(fr *http2.Framer, s uint32) {
			answer(fr, s, false, ":status", "200")
			answer(fr, s, false, "a", "b")
		},
		"status in trailers": func(fr *http2.Framer, s uint32) {
			answer(fr, s, false, ":status", "200")
			answer(fr, s, true, ":status", "200")
		},
		"more than the window": func(fr *http2.Framer, s uint32) {
			answer(fr, s, false, ":status", "200")
			for sent := 0; sent <= window; sent += 16 << 10 {
				_ = fr.WriteData(s, false, make([]byte, 16<<10))
			}
		},
		"promise": func(fr *http2.Framer, s uint32) {
			_ = fr.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: 2, EndHeaders: true})
		},
		"unasked": func(fr *http2.Framer, s uint32) { answer(fr, s+2, true, ":status", "200") },
		"window of no end": func(fr *http2.Framer, s uint32) {
			_ = fr.WriteWindowUpdate(s, 1<<31-1)
			_ = fr.WriteWindowUpdate(0, 1<<31-1)
		},
		"reset":          func(fr *http2.Framer, s uint32) { _ = fr.WriteRSTStream(s, http2.ErrCodeInternal) },
		"refuses always": func(fr *http2.Framer, s uint32) { _ = fr.WriteRSTStream(s, http2.ErrCodeRefusedStream) },
		"large frame": func(fr *http2.Framer, s uint32) {
			_ = fr.WriteRawFrame(http2.FrameData, 0, s, make([]byte, maxFrame+1))
		},
		"garbage": func(fr *http2.Framer, s uint32) { _ = fr.WriteRawFrame(http2.FrameSettings, 0, s, []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := rawInstance(t, func(fr *http2.Framer, _ net.Conn) {
				_ = fr.WriteSettings()
				fr.AllowIllegalWrites = true
				if stream := awaitRequest(fr); stream != 0 {
					say(fr, stream)
				}
			})
			transport := New()
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			response, err := send(ctx, transport, address, strings.NewReader("x"), 1)
			if err == nil {
				h := transport.host(address)
				require.Eventually(t, func() bool { // so that all has arrived, and no window was opened
					h.mu.Lock()
					defer h.mu.Unlock()
					return len(h.conns) == 0
				}, within, time.Millisecond)
				_, err = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
			require.Error(t, err)
			require.NoError(t, ctx.Err())
		})
	}
}

func TestTheFirstFrameIsOfSettings(t *testing.T) {
	t.Parallel()
	address := rawInstance(t, func(fr *http2.Framer, _ net.Conn) {
		_ = fr.WritePing(false, [8]byte{})
		drain(fr)
	})
	transport := New()
	_, err := send(t.Context(), transport, address, strings.NewReader("x"), 1)
	require.ErrorIs(t, err, errProtocol)
}

// What an instance says that it has not looked at is sent again, on another connection.
func TestRequestsThatWereNotLookedAt(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(fr *http2.Framer, stream uint32){
		"refused":   func(fr *http2.Framer, s uint32) { _ = fr.WriteRSTStream(s, http2.ErrCodeRefusedStream) },
		"gone away": func(fr *http2.Framer, s uint32) { _ = fr.WriteGoAway(0, http2.ErrCodeNo, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := 0
			address := rawInstance(t, func(fr *http2.Framer, _ net.Conn) {
				_ = fr.WriteSettings()
				for {
					stream := awaitRequest(fr)
					if stream == 0 {
						return
					}
					if seen++; seen == 1 {
						refuse(fr, stream)
						continue
					}
					answer(fr, stream, true, ":status", "204")
				}
			})
			transport := New()
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			response, err := send(ctx, transport, address, strings.NewReader("x"), 1)
			require.NoError(t, err)
			defer func() { _ = response.Body.Close() }()
			assert.Equal(t, http.StatusNoContent, response.StatusCode)
		})
	}
}

// An instance that says nothing any more does not keep its callers.
func TestSilentInstance(t *testing.T) {
	t.Parallel()
	address := rawInstance(t, func(fr *http2.Framer, conn net.Conn) {
		_ = fr.WriteSettings()
		answer(fr, awaitRequest(fr), false, ":status", "200")
		_, _ = io.Copy(io.Discard, conn) // and no sign of life
	})
	transport := New()
	response, err := send(t.Context(), transport, address, strings.NewReader("x"), 1)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, errSilent)
}

// Whatever an instance says, the request ends.
func FuzzInstance(f *testing.F) {
	settings := appendSettings(nil)
	head := appendBlock(appendSettings(nil), 1, block(":status", "200", "content-type", "a/b"), false, 1<<14)
	f.Add(appendData(bytes.Clone(head), 1, []byte("hello"), true, 1<<14))
	f.Add(appendBlock(bytes.Clone(head), 1, block("grpc-status", "0"), true, 1<<14))
	f.Add(appendPing(appendWindowUpdate(appendReset(settings, 1, 0), 0, 1), false, [8]byte{}))
	f.Fuzz(func(t *testing.T, says []byte) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(says)
			_ = theirs.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		h := &host{transport: New()}
		c := newConn(ours, h)
		require.True(t, c.reserve())
		c.open()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/a", http.NoBody)
		require.NoError(t, err)
		s, err := c.start(request, &payload{request: request})
		if err != nil {
			return
		}
		if response, err := s.await(); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	})
}
