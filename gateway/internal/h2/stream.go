package h2

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"golang.org/x/net/http2"
)

// windowStep is how much is taken from a stream before its window is opened again.
const windowStep = streamWindow / 4

// What is left of a body that says nothing of its length, and of one that is longer than it says.
const (
	noLength = -1
	tooMuch  = -2
)

var errBodyClosed = errors.New("the body is closed")

// stream is one request and its response. What is below c is guarded by c.mu; a stream is in c.streams until both sides
// have ended or one has given up.
type stream struct {
	c     *conn
	id    uint32
	ctx   context.Context
	ready sync.Cond // something has arrived; one goroutine waits
	told  bool      // it is about to be woken

	// answered: the head of the response is there.
	answered bool
	response *http.Response
	trailer  http.Header
	left     int64 // of the body, where its length was said; else noLength
	buffer   *chunk
	ended    bool  // the whole response is there
	err      error // why the rest will not come
	over     bool  // it is not in c.streams any more

	receivable int64 // what may arrive
	unsaid     int64 // what has been taken since the window was opened last
	sendable   int64 // what may be sent

	sent    bool          // the whole request is sent, or nothing more will be
	closing io.Closer     // ends the reading of the request
	pumped  chan struct{} // is closed once it has ended; nil where nothing is read

	stop func() bool // looks at the context no more
}

// chunk is what has arrived and was not taken.
type chunk struct {
	bytes []byte
	taken int
}

var chunks = sync.Pool{New: func() any { return &chunk{bytes: make([]byte, 0, 4<<10)} }}

// release gives a chunk back for others. It may be nil.
func (k *chunk) release() {
	if k != nil && cap(k.bytes) <= 64<<10 {
		k.bytes, k.taken = k.bytes[:0], 0
		chunks.Put(k)
	}
}

// watch ends the stream with ctx.
func (s *stream) watch(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		s.cancel(context.Cause(ctx))
	})
	s.c.mu.Lock()
	s.stop = stop
	s.c.mu.Unlock()
}

// await waits for the head of the response.
func (s *stream) await() (*http.Response, error) {
	c := s.c
	c.mu.Lock()
	for !s.answered && s.err == nil {
		s.ready.Wait()
	}
	err := s.err
	answered := s.answered
	c.mu.Unlock()
	if !answered {
		s.stop()
		return nil, err
	}
	return s.response, nil
}

// arrived takes part of the body.
func (s *stream) arrived(data []byte) {
	if len(data) == 0 {
		return
	}
	if s.buffer == nil {
		s.buffer, _ = chunks.Get().(*chunk) // nothing else is in there
	}
	s.buffer.bytes = append(s.buffer.bytes, data...)
	if s.left >= 0 {
		if s.left -= int64(len(data)); s.left < 0 {
			s.left = tooMuch
		}
	}
}

// end notes that the response is complete.
func (s *stream) end() {
	switch s.left {
	case noLength, 0:
		s.ended = true
		if !s.sent {
			s.sent = true
			s.c.out = appendReset(s.c.out, s.id, http2.ErrCodeNo) // RFC 9113, section 8.1
		}
		s.leave()
	default: // it is not as long as it said
		s.fail(io.ErrUnexpectedEOF)
	}
}

// fail ends a stream of which no more comes. What has arrived can still be read.
func (s *stream) fail(err error) {
	if s.err == nil && !s.ended {
		s.err = err
	}
	if !s.over && !s.sent && s.c.err == nil {
		s.sent = true
		s.c.out = appendReset(s.c.out, s.id, http2.ErrCodeCancel)
	}
	s.leave()
	s.ready.Signal()
}

// cancel gives a stream up: this side wants no more of it.
func (s *stream) cancel(err error) {
	if s.ended || s.err != nil {
		return
	}
	s.err = err
	if !s.over && s.c.err == nil {
		s.sent = true
		s.c.out = appendReset(s.c.out, s.id, http2.ErrCodeCancel)
		s.c.flushLater()
	}
	s.buffer.release()
	s.buffer = nil
	s.leave()
	s.ready.Signal()
}

// leave makes room for others. Reading a request that nobody wants any more is ended.
func (s *stream) leave() {
	if s.over {
		return
	}
	s.over = true
	c := s.c
	delete(c.streams, s.id)
	if s.closing != nil {
		closing := s.closing
		s.closing = nil
		go func() { _ = closing.Close() }() // HTTP/1.1's waits for a Read that is under way
		c.roomy.Broadcast()
	}
	if c.active.Add(-1) == 0 && c.closing.Load() {
		c.failLocked(errClosing)
	}
}

// take waits until something has arrived, and takes all of it. mu is held.
func (s *stream) take() (*chunk, error) {
	for s.buffer == nil {
		switch {
		case s.err != nil:
			return nil, s.err
		case s.ended:
			s.response.Trailer = s.trailer
			return nil, io.EOF
		}
		s.ready.Wait()
	}
	k := s.buffer
	s.buffer = nil
	return k, nil
}

// credit opens the window for what was taken.
func (s *stream) credit(n int) {
	s.unsaid += int64(n)
	if s.over || s.unsaid < windowStep {
		return
	}
	s.receivable += s.unsaid
	s.c.out = appendWindowUpdate(s.c.out, s.id, uint32(s.unsaid))
	s.unsaid = 0
	s.c.flush()
}

// body is a response's body. It belongs to one goroutine, but for Close.
type body struct{ *stream }

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s := b.stream
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	k, err := s.take()
	if err != nil {
		s.stop()
		return 0, err
	}
	n := copy(p, k.bytes[k.taken:])
	if k.taken += n; k.taken < len(k.bytes) {
		s.buffer = k
	} else {
		k.release()
	}
	s.credit(n)
	return n, nil
}

// WriteTo implements io.WriterTo: each Write gets all that has arrived by then.
func (b body) WriteTo(w io.Writer) (written int64, err error) {
	s := b.stream
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for {
		k, err := s.take()
		if err != nil {
			s.stop()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return written, err
		}
		s.c.mu.Unlock()
		n, err := w.Write(k.bytes[k.taken:])
		k.release()
		s.c.mu.Lock()
		written += int64(n)
		if err != nil {
			return written, err
		}
		s.credit(n)
	}
}

// Close implements io.Closer. What has not arrived is not wanted any more. It waits until the body of the request is not
// read any more, or the context has ended, so that a server can close the connection that it comes from.
func (b body) Close() error {
	s := b.stream
	s.stop()
	s.c.mu.Lock()
	s.cancel(errBodyClosed)
	s.buffer.release()
	s.buffer = nil
	s.c.mu.Unlock()
	if s.pumped != nil {
		select {
		case <-s.pumped:
		case <-s.ctx.Done():
		}
	}
	return nil
}
