package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/balance"
)

// connectionFields are those of an answer that belong to one connection (RFC 9110, section 7.6.1).
var connectionFields = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// forward passes a call on, and what is answered.
func (c *call) forward() {
	if c.goesAlone() {
		c.forwardAlone()
		return
	}
	response, err := c.send()
	if err != nil {
		if e, ok := errors.AsType[*balance.Error](err); ok {
			c.attempts = e.Tried
		}
		c.refuse(c.failure(err))
		return
	}
	defer func() {
		if !c.request.whole.Load() {
			c.w.release() // closing waits until the request is not read any more
		}
		_ = response.Body.Close()
	}()
	c.timer.answered()
	c.answeredWith(response.StatusCode, c.request.wholeAt.Load())
	header := c.w.Header()
	for name, values := range response.Header {
		if before, ok := header[name]; ok {
			header[name] = append(before, values...)
		} else {
			header[name] = values
		}
	}
	dropNamed(header, response.Header["Connection"])
	for _, name := range connectionFields {
		delete(header, name)
	}
	c.relay(response, true, func(w io.Writer) (int64, error) { return io.Copy(w, response.Body) })
}

// send sends the request, and waits for the head of the answer.
func (c *call) send() (*http.Response, error) {
	if c.isInquiry() {
		return c.inquire()
	}
	// The versions are for this service, and not for whoever else is asked.
	out := c.outgoing().WithContext(balance.WithVersions(c.r.Context(), c.route.Versions))
	response, err := c.h.RoundTripper.RoundTrip(out)
	if err == nil {
		c.wentTo(balance.Answerer(response))
	}
	return response, err
}

// outgoing makes the request that the service gets, without a context. The headers are the caller's: what he has no say in is gone from them.
func (c *call) outgoing() *http.Request {
	r := c.r
	header := r.Header
	values := make([]string, 0, 5) // one piece for all that are set here
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		set("X-Forwarded-For", host)
	}
	set("X-Forwarded-Host", r.Host)
	if r.TLS == nil {
		set("X-Forwarded-Proto", "http")
	} else {
		set("X-Forwarded-Proto", "https")
	}
	if c.tells() {
		c.timer.forward(c.protocol, header)
	}
	if c.protocol == wire.GRPC {
		set("Te", "trailers") // the protocol asks for it; the caller's belonged to his connection
	}
	set("Traceparent", string(c.appendTraceparent(make([]byte, 0, traceparentBytes))))
	out := &http.Request{
		Method: r.Method, Header: header, Body: r.Body, ContentLength: r.ContentLength, Proto: "HTTP/2.0", ProtoMajor: 2,
		URL: &url.URL{Scheme: "http", Host: c.route.Service, Path: c.route.Procedure, RawQuery: r.URL.RawQuery},
	}
	if out.ContentLength == 0 {
		out.Body = http.NoBody
	}
	return out
}

var gathering = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4<<10)) }}

// gather reads a request of one message that is not large as a whole: an instance is not kept waiting by a caller who
// sends slowly, the request leaves in one piece, and nothing has to watch two directions.
func (c *call) gather() error {
	r := c.r
	if r.ContentLength > wholeRequestBytes || r.Body == http.NoBody {
		return nil
	}
	b, _ := gathering.Get().(*bytes.Buffer) // nothing else is in there
	defer gathering.Put(b)
	b.Reset()
	_, err := io.CopyN(b, r.Body, wholeRequestBytes+1)
	whole := errors.Is(err, io.EOF)
	if err != nil && !whole {
		return err
	}
	read := slices.Clone(b.Bytes()) // whoever sends it may keep it until the answer is there
	switch {
	case !whole:
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(read), r.Body), r.Body}
	case len(read) == 0:
		r.Body, r.ContentLength = http.NoBody, 0
	default:
		r.Body, r.ContentLength, c.whole = newWholeBody(read), int64(len(read)), read
	}
	return nil
}

// wholeBody is a request that has been read as a whole.
type wholeBody struct{ bytes.Reader }

func newWholeBody(whole []byte) *wholeBody {
	b := &wholeBody{}
	b.Reset(whole)
	return b
}

// Close implements io.Closer.
func (*wholeBody) Close() error { return nil }
