package gateway_test

import (
	"bytes"
	"io"
	"math"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawH2 is a connection of HTTP/2 that does as it is told.
type rawH2 struct {
	*http2.Framer

	t       *testing.T
	conn    net.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
	ended   map[uint32]bool
}

// h2 opens a connection and sends its preface and settings.
func (b *besieged) h2(t *testing.T, settings ...http2.Setting) *rawH2 {
	t.Helper()
	conn := b.dial(t)
	r := &rawH2{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, next: 1, ended: map[uint32]bool{}}
	r.encoder = hpack.NewEncoder(&r.block)
	_, err := io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	require.NoError(t, r.WriteSettings(settings...))
	return r
}

// call begins a call, and ends it with body if that is not nil. It returns the stream; the connection may be gone.
func (r *rawH2) call(procedure string, body []byte) (stream uint32, err error) {
	stream = r.next
	r.next += 2
	err = r.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, EndHeaders: true,
		BlockFragment: r.fields(":method", "POST", ":scheme", "http", ":authority", "x", ":path", procedure, "content-type", "application/json"),
	})
	if err == nil && body != nil {
		err = r.WriteData(stream, true, body)
	}
	return stream, err
}

func (r *rawH2) fields(pairs ...string) []byte {
	r.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = r.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(r.block.Bytes())
}

// outcomes reads until so many more streams have ended, and returns how: a status, or the code of a reset; gone where the
// connection ended before.
func (r *rawH2) outcomes(streams int) (statuses map[string]int, gone bool) {
	statuses = map[string]int{}
	headers := map[uint32]string{}
	decoder := hpack.NewDecoder(4096, nil)
	for most := len(r.ended) + streams; len(r.ended) < most; {
		frame, err := r.ReadFrame()
		if err != nil {
			return statuses, true
		}
		id := frame.Header().StreamID
		end := func(how string) {
			if !r.ended[id] { // what is sent on it afterwards is refused, too
				r.ended[id] = true
				statuses[how]++
			}
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			fields, err := decoder.DecodeFull(f.HeaderBlockFragment())
			require.NoError(r.t, err)
			if len(fields) > 0 && fields[0].Name == ":status" {
				headers[id] = fields[0].Value
			}
			if f.StreamEnded() {
				end(headers[id])
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				end(headers[id])
			}
		case *http2.RSTStreamFrame:
			if f.ErrCode != http2.ErrCodeNo { // it comes after a whole answer
				end(f.ErrCode.String())
			}
		}
	}
	return statuses, false
}

// Each ends by itself, although the caller keeps his connection for as long as he can.
func TestSlowCallersOverHTTP2(t *testing.T) {
	b := newBesieged(t, nil)
	for name, attack := range map[string]func(t *testing.T) net.Conn{
		"preface": func(t *testing.T) net.Conn {
			conn := b.dial(t)
			_, err := io.WriteString(conn, http2.ClientPreface[:len(http2.ClientPreface)-3])
			require.NoError(t, err)
			return conn
		},
		"no settings": func(t *testing.T) net.Conn {
			conn := b.dial(t)
			_, err := io.WriteString(conn, http2.ClientPreface)
			require.NoError(t, err)
			return conn
		},
		"nothing": func(t *testing.T) net.Conn { return b.h2(t).conn },
		"headers that do not end": func(t *testing.T) net.Conn {
			r := b.h2(t)
			require.NoError(t, r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(":method", "POST")}))
			return r.conn
		},
		"frame that does not come": func(t *testing.T) net.Conn {
			r := b.h2(t)
			_, err := r.conn.Write([]byte{0, 1, 0, 1, 4, 0, 0, 0, 1, 0x83}) // 256 bytes of HEADERS, of which there is one
			require.NoError(t, err)
			return r.conn
		},
		"pings": func(t *testing.T) net.Conn {
			r := b.h2(t)
			go func() {
				for r.WritePing(false, [8]byte{}) == nil {
					time.Sleep(5 * time.Millisecond) // it is what the caller does
				}
			}()
			return r.conn
		},
		"continuations without content": func(t *testing.T) net.Conn {
			r := b.h2(t)
			require.NoError(t, r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(":method", "POST")}))
			go func() {
				for r.WriteContinuation(1, false, nil) == nil {
					time.Sleep(5 * time.Millisecond)
				}
			}()
			return r.conn
		},
		"body": func(t *testing.T) net.Conn {
			r := b.h2(t)
			began := time.Now()
			stream, err := r.call(change, nil)
			require.NoError(t, err)
			go func() {
				for r.WriteData(stream, false, []byte(" ")) == nil {
					time.Sleep(5 * time.Millisecond)
				}
			}()
			statuses, _ := r.outcomes(1)
			if time.Since(began) < callTimeout+answerTime {
				assert.Equal(t, map[string]int{"504": 1}, statuses)
			}
			return r.conn
		},
		"window that is shut": func(t *testing.T) net.Conn {
			r := b.h2(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			for range atATime {
				_, err := r.call(change, []byte("{}"))
				require.NoError(t, err)
			}
			statuses, _ := r.outcomes(atATime)
			assert.Equal(t, map[string]int{http2.ErrCodeInternal.String(): atATime}, statuses, "the answers are given up")
			return r.conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			b.while(t, func(t *testing.T) {
				conn := attack(t)
				_, _ = io.Copy(io.Discard, conn)
				require.NoError(t, conn.Close())
			})
		})
	}
}

// What is sent as fast as possible may end the connection or be borne: others are served, and nothing of it stays.
func TestFloodsOverHTTP2(t *testing.T) {
	b := newBesieged(t, nil)
	const many = 20_000
	repeat := func(n int, send func() error) {
		for range n {
			if send() != nil {
				return // the gateway has had enough
			}
		}
	}
	for name, attack := range map[string]func(t *testing.T, r *rawH2){
		// CVE-2023-44487
		"rapid reset": func(_ *testing.T, r *rawH2) {
			repeat(many/4, func() error {
				stream, err := r.call(change, nil)
				if err == nil {
					err = r.WriteRSTStream(stream, http2.ErrCodeCancel)
				}
				return err
			})
		},
		// CVE-2024-27316, and CVE-2023-45288 for net/http
		"continuations": func(t *testing.T, r *rawH2) {
			_ = r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(":method", "POST")})
			field := r.fields("x", string(bytes.Repeat([]byte("~"), 8<<10)))
			sent := 0
			repeat(many, func() error { sent++; return r.WriteContinuation(1, false, field) })
			assert.Less(t, sent, 1000, "the connection has to end")
		},
		"continuations without content": func(_ *testing.T, r *rawH2) {
			_ = r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(":method", "POST")})
			repeat(many, func() error { return r.WriteContinuation(1, false, nil) })
		},
		"settings": func(_ *testing.T, r *rawH2) {
			repeat(many, func() error { return r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}) })
		},
		"pings": func(_ *testing.T, r *rawH2) { repeat(many, func() error { return r.WritePing(false, [8]byte{}) }) },
		"windows": func(_ *testing.T, r *rawH2) {
			repeat(many, func() error { return r.WriteWindowUpdate(0, 1) })
		},
		"window of no end": func(_ *testing.T, r *rawH2) {
			repeat(many, func() error { return r.WriteWindowUpdate(0, math.MaxInt32) })
		},
		"data without content": func(_ *testing.T, r *rawH2) {
			stream, err := r.call(change, nil)
			if err == nil {
				repeat(many, func() error { return r.WriteData(stream, false, nil) })
			}
		},
		"table of headers": func(_ *testing.T, r *rawH2) {
			_ = r.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: math.MaxUint32})
			_, _ = r.call(look, []byte("{}"))
		},
		// A field of 4,000 bytes, and then 10,000 times a byte that stands for it: 40 MB.
		"fields that stand for others": func(t *testing.T, r *rawH2) {
			block := r.fields(":method", "POST", ":scheme", "http", ":authority", "x", ":path", look, "content-type", "application/json",
				"x", string(bytes.Repeat([]byte("~"), 4000)))
			block = append(block, bytes.Repeat([]byte{0x80 | 62}, 10_000)...)
			_ = r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: block})
			statuses, gone := r.outcomes(1)
			assert.True(t, gone || statuses["431"] == 1, "%v", statuses)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b.while(t, func(t *testing.T) {
				r := b.h2(t)
				attack(t, r)
				_ = r.conn.Close()
			})
		})
	}
}

// A connection is held to its number of requests; whoever has another one has as many himself.
func TestRequestsOfAConnectionAreBounded(t *testing.T) {
	b := newBesieged(t, nil)
	b.echo.workers <- struct{}{} // whoever wants work done waits
	b.while(t, func(t *testing.T) {
		r := b.h2(t)
		frame, err := r.ReadFrame()
		require.NoError(t, err)
		settings, ok := frame.(*http2.SettingsFrame)
		require.True(t, ok)
		most, said := settings.Value(http2.SettingMaxConcurrentStreams)
		assert.True(t, said)
		assert.Equal(t, uint32(atATime), most)
		for range atATime + 5 {
			_, err := r.call(look, []byte(`{"do":"work"}`))
			require.NoError(t, err)
		}
		statuses, gone := r.outcomes(5)
		require.False(t, gone)
		assert.Equal(t, map[string]int{http2.ErrCodeRefusedStream.String(): 5}, statuses, "before anything else ends")
		other := b.h2(t)
		_, err = other.call(look, []byte("{}"))
		require.NoError(t, err)
		statuses, _ = other.outcomes(1)
		assert.Equal(t, map[string]int{"200": 1}, statuses)
		<-b.echo.workers
		statuses, _ = r.outcomes(atATime)
		assert.Equal(t, map[string]int{"200": atATime}, statuses)
		require.NoError(t, r.conn.Close())
		require.NoError(t, other.conn.Close())
	})
}
