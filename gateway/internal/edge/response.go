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

// reply is a service's answer as it passes. It sees how the call ends; and where the answer breaks off, it ends it with
// an error in the caller's protocol if that can still be said.
type reply struct {
	call     *call
	response *http.Response
	frames   *wire.Frames // of framed protocols
	failed   []byte       // body of a Connect unary error
	flush    bool         // each piece at once: a message must not wait for the next one
	follows  bool         // something follows the headers: a body, or trailers
	refused  error        // why the caller takes no more
}

// Write implements io.Writer: it passes a piece on.
func (r *reply) Write(p []byte) (int, error) {
	within := r.see(p)
	r.follows = true
	if r.refused = r.call.w.pass(p[:within], r.flush); r.refused != nil {
		return 0, r.refused
	}
	if within < len(p) {
		r.call.exceed(fromService, r.frames)
		return within, errOverBound
	}
	return len(p), nil
}

// relay passes an answer on whose headers are set. send writes its body, in pieces that are passed on at once if flush is
// set and the call is a stream.
func (c *call) relay(response *http.Response, flush bool, send func(io.Writer) (int64, error)) {
	r := &c.reply
	r.call, r.response, r.flush = c, response, flush && !c.route.Unary()
	if c.protocol.Framed() {
		r.frames = wire.NewFrames(c.protocol, c.bounds())
	}
	c.w.WriteHeader(response.StatusCode)
	if r.flush && response.Header.Get("Grpc-Status") == "" {
		_ = c.w.pass(nil, true) // the first message may be long in coming
	}
	_, err := send(r)
	switch {
	case err == nil:
		c.answered()
		c.code = r.outcome()
		c.settle(c.code)
		r.trail(response.Trailer)
	case r.refused != nil:
		c.cause = err
		if c.ended() != nil {
			c.code = codeOf(c.failure(err))
		}
		panic(http.ErrAbortHandler) // it must not look whole
	default:
		failure := c.failure(err)
		c.answered()
		c.code, c.cause = codeOf(failure), err
		if _, ours := errors.AsType[*connect.Error](c.ended()); ours {
			reason, _ := explained(failure)
			c.note(failure, reason)
		}
		if !r.rescue(failure) {
			panic(http.ErrAbortHandler) // so that nobody takes this for the whole answer
		}
	}
	if flush && r.follows { // gRPC tells a status without a body from one that follows it
		_ = c.w.pass(nil, true) // while it is watched how long that takes
	}
}

// answered is called when no more comes from the service. What the caller of a stream still sends nobody wants then, and
// waiting for it would keep the end of the answer from him, for as long as he waits for that end himself.
func (c *call) answered() {
	if !c.route.Unary() && !c.request.whole.Load() {
		c.w.release()
	}
}

// see looks at a piece, and returns how much of it may be passed on.
func (r *reply) see(p []byte) (within int) {
	switch {
	case r.frames != nil:
		return r.frames.Feed(p)
	case r.response.StatusCode != http.StatusOK:
		r.failed = append(r.failed, p[:min(len(p), max(maxErrorBytes-len(r.failed), 0))]...)
	}
	return len(p)
}

// outcome is how a call went whose answer is complete.
func (r *reply) outcome() string {
	status := r.response.StatusCode
	header := r.response.Header
	switch r.call.protocol {
	case wire.ConnectUnary, wire.ConnectGet:
		if status == http.StatusOK || status == http.StatusNotModified {
			return wire.OK
		}
		return wire.CodeOfError(r.failed, header.Get("Content-Encoding"))
	case wire.GRPC, wire.GRPCWeb:
		if s := header.Get("Grpc-Status"); s != "" {
			return wire.CodeOfStatus(s)
		}
		if s := r.response.Trailer.Get("Grpc-Status"); s != "" {
			return wire.CodeOfStatus(s)
		}
	case wire.ConnectStream, wire.REST, wire.None:
	}
	if content, compressed, ok := r.frames.Ended(); ok {
		return wire.CodeOfEnd(r.call.protocol, content, compressed)
	}
	return connect.CodeUnknown.String()
}

// rescue ends a stream that broke off with an error in its own protocol. That is possible only between two messages.
func (r *reply) rescue(failure error) bool {
	if r.frames == nil || !r.frames.Between() || r.response.StatusCode != http.StatusOK {
		return false
	}
	said := &said{header: http.Header{}}
	if r.call.h.errors.Write(said, r.call.r, failure) != nil {
		return false
	}
	switch r.call.protocol {
	case wire.ConnectStream:
		return r.call.w.pass(said.body.Bytes(), true) == nil
	case wire.GRPCWeb:
		return r.call.w.pass(wire.WebEnd(said.header), true) == nil
	case wire.GRPC:
		trailer := http.Header{}
		for _, name := range []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
			if value := said.header.Get(name); value != "" {
				trailer.Set(name, value)
			}
		}
		r.trail(trailer)
	case wire.ConnectUnary, wire.ConnectGet, wire.REST, wire.None:
		return false
	}
	return true
}

// trail sets the trailers of an answer.
func (r *reply) trail(trailer http.Header) {
	header := r.call.w.Header()
	for name, values := range trailer {
		header[http.TrailerPrefix+name] = values
		r.follows = true
	}
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
