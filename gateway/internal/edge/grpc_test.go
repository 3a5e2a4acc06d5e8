package edge

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"ashlar.dev/gateway/internal/h2"
	"ashlar.dev/kernel/balance"
)

// maxGRPCAllocations is what maxAllocations is, of a unary call of gRPC: from the request that net/http has read to the
// answer that it is to write, the gateway's own client of HTTP/2 included.
const maxGRPCAllocations = 62

// newGRPC returns what sends a unary call of gRPC through a handler with everything on to an instance that answers at once.
func newGRPC(t testing.TB) func() {
	transport := h2.New()
	directory := oneInstance(t, instantlyGRPC)
	t.Cleanup(transport.CloseIdleConnections)
	h := everythingOn(t, Parts{RoundTripper: balance.New(directory, transport)})
	const message = "\x00\x00\x00\x00\x02{}"
	body := &rewinding{}
	header := http.Header{"Content-Type": {"application/grpc"}, "Authorization": {"Bearer token"}, "User-Agent": {"test"}, "Te": {"trailers"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x"+askMe, body)
	require.NoError(t, err)
	request.ContentLength, request.Header, request.RemoteAddr = -1, header, "127.0.0.1:1234"
	request.Proto, request.ProtoMajor, request.ProtoMinor = "HTTP/2.0", 2, 0
	unread := request.Body
	w := &silentWriter{header: http.Header{}}
	return func() {
		body.left, request.Body = message, unread
		clear(w.header)
		h.ServeHTTP(w, request)
		if status := w.header[http.TrailerPrefix+"Grpc-Status"]; w.status != http.StatusOK || w.written != len(message) || len(status) != 1 || status[0] != "0" {
			t.Errorf("status %d, %d bytes, %v", w.status, w.written, w.header)
		}
		w.status, w.written = 0, 0
	}
}

// instantlyGRPC is instantly over HTTP/2.
func instantlyGRPC(c net.Conn) {
	if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(c, nil)
	if framer.WriteSettings() != nil {
		return
	}
	answer := frame(nil, http2.FrameHeaders, http2.FlagHeadersEndHeaders, "\x88\x0f\x10\x10application/grpc") // RFC 7541, appendix A: :status: 200, content-type
	answer = frame(answer, http2.FrameData, 0, "\x00\x00\x00\x00\x02{}")
	answer = frame(answer, http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, "\x00\x0bgrpc-status\x010")
	buffer := make([]byte, 1<<14)
	for {
		if _, err := io.ReadFull(c, buffer[:9]); err != nil {
			return
		}
		length, flags := binary.BigEndian.Uint32(buffer)>>8, http2.Flags(buffer[4])
		stream := [4]byte(buffer[5:9])
		if _, err := io.ReadFull(c, buffer[:length]); err != nil {
			return
		}
		if stream == [4]byte{} || !flags.Has(http2.FlagDataEndStream) {
			continue
		}
		for at := 0; at < len(answer); at += 9 + int(binary.BigEndian.Uint32(answer[at:])>>8) {
			copy(answer[at+5:], stream[:])
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// frame appends a frame of stream 0.
func frame(out []byte, kind http2.FrameType, flags http2.Flags, payload string) []byte {
	out = append(out, 0, 0, byte(len(payload)), byte(kind), byte(flags), 0, 0, 0, 0)
	return append(out, payload...)
}

func TestAllocationsOfAUnaryGRPCCall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	call := newGRPC(t)
	call() // dials
	got := testing.AllocsPerRun(500, call)
	t.Logf("%.1f allocations", got)
	require.LessOrEqual(t, got, float64(maxGRPCAllocations))
}

func BenchmarkUnaryGRPCCall(b *testing.B) {
	call := newGRPC(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
