package edge

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"ashlar.dev/gateway/internal/wire"
)

// requestBody notes why reading from the caller failed. It is read on a goroutine of the transport.
type requestBody struct {
	io.ReadCloser

	tooLarge atomic.Bool
	broken   atomic.Bool
	// whole says that the caller has sent all, and wholeAt since when (sinceStart).
	whole   atomic.Bool
	wholeAt atomic.Int64
	// got is how many bytes he has sent.
	got atomic.Int64
	// frames counts the messages of a stream; nil where the request is one message. over is told that they are too many.
	frames   *wire.Frames
	over     func()
	exceeded atomic.Bool
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.got.Add(int64(n))
	if b.frames != nil && n > 0 {
		if within := b.frames.Feed(p[:n]); within < n {
			b.exceeded.Store(true)
			b.over()
			return within, errOverBound
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.wholeAt.CompareAndSwap(0, int64(sinceStart()))
		b.whole.Store(true)
	default:
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			b.tooLarge.Store(true)
		} else {
			b.broken.Store(true)
		}
	}
	return n, err
}

// Close implements io.Closer. What is left of a stream over its bound net/http reads by itself once the answer is written, so
// that a caller who still sends over HTTP/1.1 sees it; two that read at a time would cut him off.
func (b *requestBody) Close() error {
	if b.exceeded.Load() {
		return nil
	}
	return b.ReadCloser.Close()
}

// hasBody tells whether a GET brings a body, which no service takes. Over HTTP/2 the end of a request may come in a frame
// of its own, and over HTTP/3 it always does, so that only reading tells; whoever does not send it is taken for one who still sends.
func (c *call) hasBody() bool {
	if c.r.ContentLength >= 0 || c.r.ProtoMajor < 2 {
		return c.r.ContentLength != 0
	}
	c.w.wake()
	if _, err := io.ReadFull(c.r.Body, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return true
	}
	c.r.Body, c.r.ContentLength = http.NoBody, 0 // as if it had been said at once
	return false
}

// limitBody bounds what the caller may send.
func (c *call) limitBody() error {
	if c.r.Method == http.MethodGet {
		c.r.Body = http.NoBody
		return nil
	}
	body := c.r.Body
	if c.route.OneRequest() {
		longest := c.longest()
		if c.r.ContentLength > longest {
			return tooLarge(c.h.MaxMessageBytes)
		}
		body = http.MaxBytesReader(c.w.ResponseWriter, body, longest)
	} else if c.protocol.Framed() {
		bounds := c.bounds()
		bounds.MessageBytes = uint32(c.h.MaxMessageBytes)
		c.request.frames = wire.NewRequestFrames(bounds)
		c.request.over = func() { c.exceed(fromCaller, c.request.frames) }
	}
	c.request.ReadCloser = body
	c.r.Body = &c.request
	return nil
}

// longest is how many bytes a request of one message may have.
func (c *call) longest() int64 {
	if c.protocol.Framed() {
		return c.h.MaxMessageBytes + wire.EnvelopeBytes
	}
	return c.h.MaxMessageBytes
}
