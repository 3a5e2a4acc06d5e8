package edge

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/wire"
)

// maxErrorBytes bounds what is kept of an error's body in order to see its code.
const maxErrorBytes = 64 << 10

// responseBody is a service's answer as it passes. It sees how the call ends; and where the answer breaks off, it
// ends it with an error in the caller's protocol if that can still be said.
type responseBody struct {
	io.ReadCloser

	call     *call
	response *http.Response
	frames   *wire.Frames // of framed protocols
	failed   []byte       // body of a Connect unary error
	// last is what is added to the body, after which it ends.
	last   []byte
	ending bool
}

// watch puts b between a response and its reader.
func (b *responseBody) watch(c *call, response *http.Response) {
	b.ReadCloser, b.call, b.response = response.Body, c, response
	if c.protocol.Framed() {
		b.frames = wire.NewFrames(c.protocol)
	}
	response.Body = b
}

// Read implements io.Reader.
func (b *responseBody) Read(p []byte) (int, error) {
	if b.ending {
		return b.readLast(p)
	}
	n, err := b.ReadCloser.Read(p)
	b.see(p[:n])
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.call.answered()
		b.call.code = b.outcome()
		return n, err
	}
	failure := b.call.failure(err)
	b.call.answered()
	b.call.code, b.call.cause = codeOf(failure), err
	if !b.rescue(failure) {
		return n, err // the connection or the stream is cut off, so that nobody takes this for the whole answer
	}
	b.ending = true
	return n, nil
}

// answered is called when no more comes from the service. What the caller of a stream still sends nobody wants then, and
// waiting for it would keep the end of the answer from him, for as long as he waits for that end himself.
func (c *call) answered() {
	if !c.route.Unary() && !c.request.whole.Load() {
		c.w.release()
	}
}

func (b *responseBody) readLast(p []byte) (int, error) {
	if len(b.last) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.last)
	b.last = b.last[n:]
	return n, nil
}

func (b *responseBody) see(p []byte) {
	switch {
	case b.frames != nil:
		b.frames.Feed(p)
	case b.response.StatusCode != http.StatusOK:
		b.failed = append(b.failed, p[:min(len(p), max(maxErrorBytes-len(b.failed), 0))]...)
	}
}

// outcome is how a call went whose answer is complete.
func (b *responseBody) outcome() string {
	status := b.response.StatusCode
	header := b.response.Header
	switch b.call.protocol {
	case wire.ConnectUnary, wire.ConnectGet:
		if status == http.StatusOK || status == http.StatusNotModified {
			return wire.OK
		}
		return wire.CodeOfError(b.failed, header.Get("Content-Encoding"))
	case wire.GRPC, wire.GRPCWeb:
		if s := header.Get("Grpc-Status"); s != "" {
			return wire.CodeOfStatus(s)
		}
		if s := b.response.Trailer.Get("Grpc-Status"); s != "" {
			return wire.CodeOfStatus(s)
		}
	case wire.ConnectStream, wire.REST, wire.None:
	}
	if content, compressed, ok := b.frames.Ended(); ok {
		return wire.CodeOfEnd(b.call.protocol, content, compressed)
	}
	return connect.CodeUnknown.String()
}

// rescue ends a stream that broke off with an error in its own protocol. That is possible only between two messages.
func (b *responseBody) rescue(failure error) bool {
	if b.frames == nil || !b.frames.Between() || b.response.StatusCode != http.StatusOK {
		return false
	}
	said := &said{header: http.Header{}}
	if b.call.h.errors.Write(said, b.call.r, failure) != nil {
		return false
	}
	switch b.call.protocol {
	case wire.ConnectStream:
		b.last = said.body.Bytes()
	case wire.GRPCWeb:
		b.last = wire.WebEnd(said.header)
	case wire.GRPC:
		b.response.Trailer = nil
		header := b.call.w.Header()
		for _, name := range []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
			if value := said.header.Get(name); value != "" {
				header.Set(http.TrailerPrefix+name, value)
			}
		}
	case wire.ConnectUnary, wire.ConnectGet, wire.REST, wire.None:
		return false
	}
	return true
}

// said is an http.ResponseWriter that keeps an error as it would be sent.
type said struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (s *said) Header() http.Header { return s.header }

// Write implements http.ResponseWriter.
func (s *said) Write(p []byte) (int, error) { return s.body.Write(p) }

// WriteHeader implements http.ResponseWriter.
func (s *said) WriteHeader(int) {}
