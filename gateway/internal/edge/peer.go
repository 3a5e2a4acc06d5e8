package edge

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// unreadTime is how long the rest of a request is waited for that nobody wants any more: net/http reads it before it
	// answers, so that the connection can be used again, and a caller who never sends it would keep the connection.
	unreadTime = time.Second
	// stallTime is how long the caller of a stream may take nothing of what is sent to him.
	stallTime = 30 * time.Second
)

// peer is the caller's end of a call. It sees to it that nobody holds a connection, or a stream of HTTP/2, by sending
// nothing or by reading nothing. Over HTTP/2 no deadline for reading is needed, but for wake: a body that nobody reads
// holds nothing, and when the deadline for writing passes the whole stream ends, its body, too. Over HTTP/1.1 they last
// until net/http waits for the next request; one for writing lasts until the next request sets its own.
type peer struct {
	http.ResponseWriter

	deadlines http.ResponseController
	h1        bool
	// reads: reading needs a deadline of its own. Over HTTP/1.1 net/http waits for the next request already where this one has
	// no body: a deadline that passes meanwhile would cancel this one.
	reads bool
	// stall bounds each write of a stream; 0 where the whole call has a deadline.
	stall    time.Duration
	stalling stalling

	// whole tells whether the request has been read to its end; nil where net/http sees to that itself.
	whole func() bool

	// status and sent are what the caller has got: 0 before the answer begins, and bytes of its body.
	status int
	sent   atomic.Int64

	mu sync.Mutex
	// over says that the handler has returned: after that, deadlines must not be touched.
	over bool
}

func newPeer(w http.ResponseWriter, r *http.Request) *peer {
	h1 := r.ProtoMajor < 2
	return &peer{ResponseWriter: w, deadlines: *http.NewResponseController(w), h1: h1, reads: r.ProtoMajor != 2 && (!h1 || r.Body != http.NoBody)}
}

// cancelledBefore tells of a request that was cancelled before it came. While net/http still writes an answer over HTTP/1.1 it
// waits for the next request; where a deadline for reading passes then, as on a machine that stands still for a second, it
// cancels whatever comes over that connection, and serves it all the same (connReader.backgroundRead).
func cancelledBefore(r *http.Request) bool { return r.ProtoMajor < 2 && r.Context().Err() != nil }

// revive returns such a request as it was meant, and a writer that makes it the last one of its connection. Nobody notices if its
// caller leaves, so that it has an end even if it is a stream. end has to be called. A request without a body stays cancelled:
// net/http has looked for the next one by now, and may have found that the caller has left.
func revive(w http.ResponseWriter, r *http.Request, most time.Duration) (last http.ResponseWriter, revived *http.Request, end context.CancelFunc) {
	w.Header().Set("Connection", "close")
	if r.Body == http.NoBody {
		return lastWriter{w}, r, func() {}
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(r.Context()), most)
	return lastWriter{w}, r.WithContext(ctx), end
}

// lastWriter ends the connection after the answer, whatever a service says of its own.
type lastWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w lastWriter) WriteHeader(status int) {
	w.Header().Set("Connection", "close")
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is what http.ResponseController looks for.
func (w lastWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The errors of setting deadlines are not looked at: the connection is gone then, or the writer of a test has none.

// hurry allows for an answer without the rest of the request. It holds from the beginning of each request, until more
// is known.
func (p *peer) hurry() {
	now := time.Now()
	if p.reads {
		_ = p.deadlines.SetReadDeadline(now.Add(unreadTime))
	}
	_ = p.deadlines.SetWriteDeadline(now.Add(unreadTime + answerTime))
}

// until bounds request and answer of a unary call. The call itself ends before that, so that it is known why.
func (p *peer) until(deadline time.Time) {
	deadline = deadline.Add(answerTime + unreadTime)
	if p.reads {
		_ = p.deadlines.SetReadDeadline(deadline)
	}
	_ = p.deadlines.SetWriteDeadline(deadline)
}

// stream lets both sides be silent for as long as they like, but not refuse what is sent.
func (p *peer) stream(stall time.Duration) {
	p.stall = stall
	if p.reads {
		_ = p.deadlines.SetReadDeadline(time.Time{})
	}
	_ = p.deadlines.SetWriteDeadline(time.Time{})
}

// wake ends reading from a caller who may be silent, once the call has been given up, and over HTTP/2 writing to one who
// takes nothing. It may be called at any time.
func (p *peer) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	now := time.Now()
	_ = p.deadlines.SetReadDeadline(now.Add(unreadTime))
	if !p.h1 {
		_ = p.deadlines.SetWriteDeadline(now.Add(unreadTime + answerTime))
	}
}

// release ends reading from a caller from whom nothing more is wanted. Over HTTP/1.1 one who is sending has time to see
// the answer: his connection would break under him.
func (p *peer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	deadline := time.Now()
	if p.h1 {
		deadline = deadline.Add(unreadTime)
	}
	_ = p.deadlines.SetReadDeadline(deadline)
}

// finish is called when the handler is about to return: net/http still writes what it has, and reads the rest.
func (p *peer) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.stalling.stop()
	now := time.Now()
	if p.h1 && p.reads {
		_ = p.deadlines.SetReadDeadline(now.Add(unreadTime))
	}
	if p.stall > 0 {
		_ = p.deadlines.SetWriteDeadline(now.Add(unreadTime + answerTime))
	}
}

// fullDuplex lets a service answer while the caller still sends. net/http does not look any more whether the request has
// been read to its end then, and would take what is left of it for the next one; so whole has to tell.
func (p *peer) fullDuplex(whole func() bool) {
	if p.h1 && p.deadlines.EnableFullDuplex() == nil { // not every ResponseWriter can, and then the service waits
		p.whole = whole
	}
}

// WriteHeader implements http.ResponseWriter. Where the request is not whole, the connection will not be used again.
func (p *peer) WriteHeader(status int) {
	if p.status == 0 && status >= http.StatusOK {
		p.status = status
		if p.whole != nil && !p.whole() {
			p.Header().Set("Connection", "close")
		}
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *peer) Write(b []byte) (int, error) {
	if err := p.pass(b, false); err != nil {
		return 0, err
	}
	return len(b), nil
}

// FlushError is what http.ResponseController looks for.
func (p *peer) FlushError() error { return p.pass(nil, true) }

// Flush implements http.Flusher.
func (p *peer) Flush() { _ = p.FlushError() }

// pass writes a piece, and sends what has been written if flush is set.
func (p *peer) pass(b []byte, flush bool) (err error) {
	if p.status == 0 && len(b) > 0 {
		p.WriteHeader(http.StatusOK)
	}
	p.stalling.begin(p)
	if len(b) > 0 {
		var n int
		n, err = p.ResponseWriter.Write(b) //nolint:gosec // it is passed on as the service made it
		p.sent.Add(int64(n))
	}
	if err == nil && flush {
		err = p.deadlines.Flush()
	}
	p.stalling.done()
	return err
}

// Unwrap is what http.ResponseController looks for.
func (p *peer) Unwrap() http.ResponseWriter { return p.ResponseWriter }
