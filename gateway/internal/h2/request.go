package h2

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

const (
	// smallBytes bounds the bodies that are read before anything is sent, so that they leave in one piece with the headers.
	smallBytes = 64 << 10
	// firstRead is how much of a body is read at first: while a stream is idle it holds no more than this.
	firstRead = 1 << 10
	fullRead  = 32 << 10
	// lastID is the last stream of a connection; then another one is made.
	lastID = 1<<31 - 1
)

var (
	errHeader = errors.New("a header of the request cannot be sent")
	errLength = errors.New("the body is not as long as its length")
)

// payload is the body of a request.
type payload struct {
	request *http.Request
	small   *chunk // all of it, if it is small; nil where there is none
	loaded  bool
	flowing bool // it is read while it is sent, by another goroutine
	pumped  bool // that has begun
}

// load reads a small body, once.
func (p *payload) load() error {
	if p.loaded {
		return nil
	}
	p.loaded = true
	r := p.request
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return nil
	case r.ContentLength <= 0 || r.ContentLength > smallBytes:
		p.flowing = true
		return nil
	}
	p.small, _ = chunks.Get().(*chunk) // nothing else is in there
	n := int(r.ContentLength)
	if cap(p.small.bytes) < n {
		p.small.bytes = make([]byte, n)
	}
	p.small.bytes = p.small.bytes[:n]
	if _, err := io.ReadFull(r.Body, p.small.bytes); err != nil {
		return err
	}
	return nil
}

// again tells whether the body can be sent once more.
func (p *payload) again() bool { return !p.pumped }

// close closes the body, as a RoundTripper must.
func (p *payload) close() {
	p.small.release()
	p.small = nil
	if p.request.Body != nil && !p.pumped {
		_ = p.request.Body.Close()
	}
}

// start sends a request for which there is room, or the beginning of one whose body flows.
func (c *conn) start(req *http.Request, p *payload) (*stream, error) {
	if err := sendable(req); err != nil {
		c.unreserve()
		return nil, err
	}
	s := &stream{c: c, ctx: req.Context(), left: noLength, receivable: streamWindow}
	s.ready.L = &c.mu
	c.mu.Lock()
	if c.err != nil || c.closing.Load() || c.nextID > lastID-2 {
		c.closing.Store(true)
		c.mu.Unlock()
		c.unreserve()
		return nil, errClosing
	}
	s.id = c.nextID
	c.nextID += 2
	s.sendable = c.streamWindow
	c.streams[s.id] = s
	c.block.Reset()
	c.encode(req)
	none := p.small == nil && !p.flowing
	c.out = appendBlock(c.out, s.id, c.block.Bytes(), none, c.frameBytes)
	s.sent = none
	if p.flowing {
		s.closing, s.pumped = req.Body, make(chan struct{})
	}
	var rest []byte
	if p.small != nil {
		if rest = p.small.bytes; len(c.out) < maxPending {
			rest = s.sendSome(rest, true)
		}
	}
	c.flush()
	c.mu.Unlock()
	s.watch(req.Context())
	if p.flowing {
		p.pumped = true
		go s.pump(req)
	} else if len(rest) > 0 {
		s.send(rest, true)
	}
	return s, nil
}

// sendable tells whether the headers of a request can be sent. Nothing may be found wrong once encoding has begun: both
// sides remember what was encoded.
func sendable(req *http.Request) error {
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return errHeader
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return errHeader
			}
		}
	}
	if !httpguts.ValidHostHeader(req.Host) || !httpguts.ValidHeaderFieldValue(req.URL.RawQuery) {
		return errHeader
	}
	return nil
}

// encode writes the headers of a request to c.block (RFC 9113, section 8.3.1).
func (c *conn) encode(req *http.Request) {
	write := func(name, value string, once bool) {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: once}) // a buffer takes everything
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	write(":method", req.Method, false)
	write(":scheme", "http", false)
	write(":authority", host, false)
	write(":path", req.URL.RequestURI(), req.URL.RawQuery != "")
	for name, values := range req.Header {
		switch name {
		case "Host", "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Trailer":
			continue // those of one connection, and what is said anew
		default:
		}
		lower := lowered(name)
		for _, value := range values {
			write(lower, value, changing(name))
		}
	}
	if req.ContentLength > 0 {
		write("content-length", strconv.FormatInt(req.ContentLength, 10), false)
	}
}

// changing tells whether a header is another one in each request, so that remembering it would push out what is not.
func changing(name string) bool {
	switch name {
	case "Traceparent", "Tracestate", "Grpc-Timeout", "Connect-Timeout-Ms", "X-Request-Id":
		return true
	default:
		return false
	}
}

// sendSome sends as much as may be sent now of data, and returns the rest. mu is held.
func (s *stream) sendSome(data []byte, end bool) []byte {
	c := s.c
	n := int(min(int64(len(data)), max(c.window, 0), max(s.sendable, 0)))
	if n == 0 && len(data) > 0 {
		return data // an empty frame would say nothing
	}
	c.window -= int64(n)
	s.sendable -= int64(n)
	s.sent = end && n == len(data)
	c.out = appendData(c.out, s.id, data[:n], s.sent, c.frameBytes)
	return data[n:]
}

// send sends data, and waits for room. It returns false where no more is wanted of the request.
func (s *stream) send(data []byte, end bool) bool {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for !s.sent && !s.over {
		if len(c.out) >= maxPending || c.window <= 0 || s.sendable <= 0 {
			c.roomy.Wait()
			continue
		}
		data = s.sendSome(data, end)
		c.flush()
		if len(data) == 0 {
			return !s.sent
		}
	}
	return false
}

var readBuffers = sync.Pool{New: func() any { return new([fullRead]byte) }}

// pump sends the body of a request while it comes.
func (s *stream) pump(req *http.Request) {
	defer close(s.pumped)
	small := make([]byte, firstRead)
	var full *[fullRead]byte
	buffer := small
	total := int64(0)
	for {
		n, err := req.Body.Read(buffer)
		end := errors.Is(err, io.EOF)
		total += int64(n)
		if end && req.ContentLength > 0 && total != req.ContentLength {
			end, err = false, errLength
		}
		if err != nil && !end {
			s.c.mu.Lock()
			s.cancel(err)
			s.c.mu.Unlock()
			break
		}
		if (n > 0 || end) && !s.send(buffer[:n], end) {
			break
		}
		switch {
		case n == firstRead && full == nil: // there is much of it
			full, _ = readBuffers.Get().(*[fullRead]byte) // nothing else is in there
			buffer = full[:]
		case n < firstRead && full != nil:
			readBuffers.Put(full)
			full, buffer = nil, small
		}
	}
	if full != nil {
		readBuffers.Put(full)
	}
	s.c.mu.Lock()
	s.closing = nil
	s.c.mu.Unlock()
	_ = req.Body.Close()
}
