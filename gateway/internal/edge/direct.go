package edge

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/balance"
)

const (
	// wholeRequestBytes bounds the requests of one message that are read as a whole before they are passed on. Larger ones flow.
	wholeRequestBytes = 64 << 10
	// wholeBytes bounds the answers that are written in one piece. Larger ones flow.
	wholeBytes = 16 << 10
	// maxAlone bounds the streams that have a connection each. Further ones share connections.
	maxAlone = 1000
	// patientFor is how long an instance may work on a call before it is held against it that the deadline passed:
	// callers choose deadlines, and must not be able to put an instance out of use by that.
	patientFor = 2 * time.Second
)

// Direct sends calls whose request is one message, read as a whole, over a connection that each has to itself for that
// time.
type Direct struct {
	Balancer *balance.Transport
	Pool     *upstream.Pool
	// Shared sends a request to the address in its URL over a connection that calls share, for what needs HTTP/2 and may be
	// asked of another instance; nil: nothing is.
	Shared http.RoundTripper

	alone atomic.Int32 // streams that have a connection
}

// exchange is what a direct call needs and the next one can use again.
type exchange struct {
	body    []byte // of the request
	request []byte // all of it
	tries   balance.Tries
	first   offer
	second  offer // where the first takes long
}

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

// putBack lets the next call have it, without what belongs to this one.
func (x *exchange) putBack() {
	x.first.forget()
	x.second.forget()
	exchanges.Put(x)
}

// isDirect tells whether a call goes that way: one message each way, whose size is known and small, in a protocol that
// does not need HTTP/2.
func (c *call) isDirect() bool {
	if c.h.Direct == nil || c.route.Service == "" || !c.route.Unary() || c.r.ContentLength < 0 || c.r.ContentLength > wholeRequestBytes {
		return false
	}
	return c.protocol == wire.ConnectUnary || c.protocol == wire.ConnectGet || c.protocol == wire.GRPCWeb
}

// serveDirect passes the guards and then the call. It has no context of its own: its deadline is that of connections.
func (c *call) serveDirect() {
	d, _, err := c.allowed()
	if err != nil {
		c.refuse(err)
		return
	}
	c.direct = true
	c.timer.deadline = c.begun.Add(d)
	if d <= 0 {
		c.refuse(c.failure(context.DeadlineExceeded))
		return
	}
	c.w.until(c.timer.deadline)
	if err := c.admit(); err != nil {
		c.refuse(err)
		return
	}
	if c.r.ContentLength > c.longest() {
		c.refuse(tooLarge(c.h.MaxMessageBytes))
		return
	}
	if c.protocol == wire.ConnectGet && !c.rest {
		defer c.land()
		if c.fromCache() {
			return
		}
	}
	x, _ := exchanges.Get().(*exchange) // nothing else is in there
	defer x.putBack()
	if err := c.readBody(x); err != nil {
		c.request.broken.Store(true)
		c.refuse(c.failure(err))
		return
	}
	if err := c.enter(); err != nil {
		c.refuse(err)
		return
	}
	c.try(x)
}

// goesAlone tells whether a stream of messages from a service has a connection to itself: its request has been read, and
// its protocol does not need HTTP/2. A flush costs a service a quarter of what it costs over HTTP/2, and nothing stands
// between the connection and its caller.
func (c *call) goesAlone() bool {
	return c.h.Direct != nil && !c.route.Unary() && c.route.OneRequest() && c.r.ContentLength >= 0 && c.r.ContentLength <= wholeRequestBytes &&
		(c.protocol == wire.ConnectStream || c.protocol == wire.GRPCWeb) && c.h.Direct.alone.Load() < maxAlone
}

// forwardAlone passes such a stream on. Its context, and not its connection, has its deadline.
func (c *call) forwardAlone() {
	c.h.Direct.alone.Add(1)
	defer c.h.Direct.alone.Add(-1)
	x := &exchange{} // not one of those that are used again: it would be kept for as long as the stream lasts
	if err := c.readBody(x); err != nil {
		c.refuse(c.failure(err))
		return
	}
	c.try(x)
}

// try offers a call to instances until one answers.
func (c *call) try(x *exchange) {
	x.tries = balance.TriesOf(c.route.Versions)
	x.request = append(c.appendHead(x.request[:0], len(x.body)), x.body...)
	for c.attempt(x) {
		if !x.tries.Left() {
			c.refuse(c.failure(x.tries.Cause()))
			return
		}
	}
}

// attempt offers the call to an instance, or to two where the first takes long, and reports whether it may be offered to
// another: nothing has been answered then.
func (c *call) attempt(x *exchange) (again bool) {
	if err := x.first.pick(c.r.Context(), c, x); err != nil {
		c.refuse(c.failure(err))
		return false
	}
	o := &x.first
	if o.make(c, x.request, c.patience()); o.silent != nil {
		o = c.hedge(x)
	}
	if o.err == nil {
		c.answer(x, o)
		return false
	}
	o.lease.Done(o.outcome, &x.tries, o.err)
	switch {
	case o.outcome == balance.Unreachable:
		return true
	case o.outcome == balance.Broken && c.ended() == nil && c.route.Safe && o.lease.Retry(&x.tries):
		return true
	default:
		c.refuse(c.failure(o.err))
		return false
	}
}

// connDeadline is until when a call may use a connection; zero where it has a context that ends it.
func (c *call) connDeadline() time.Time {
	if !c.direct {
		return time.Time{}
	}
	return c.timer.deadline
}

// readBody reads the whole request: an instance is not kept waiting by a caller who sends slowly.
func (c *call) readBody(x *exchange) error {
	n := int(c.r.ContentLength)
	if c.r.Method == http.MethodGet {
		n = 0
	}
	if cap(x.body) < n {
		x.body = make([]byte, n, max(n, 1<<10))
	}
	x.body = x.body[:n]
	got, err := io.ReadFull(c.r.Body, x.body)
	c.request.got.Store(int64(got))
	return err
}

// answer passes on what an instance has begun to answer.
func (c *call) answer(x *exchange, o *offer) {
	conn, outcome := o.conn, balance.Broken
	var failure error
	defer func() { // also where the caller's connection is cut off
		conn.Release(o.stop())
		o.lease.Done(outcome, &x.tries, failure)
	}()
	c.answeredWith(o.head.Status, 0)
	body, whole, err := conn.Whole(wholeBytes)
	if err != nil {
		if failure = err; c.ended() != nil {
			outcome = balance.Abandoned
		}
		c.refuse(c.failure(err))
		return
	}
	outcome = balance.Answered
	if !c.direct { // a stream may last
		o.lease.Answering()
		outcome, x.body, x.request = balance.Abandoned, nil, nil
	}
	c.wentTo(o.lease.Instance(), c.attempts)
	header := c.w.Header()
	o.head.CopyTo(header)
	if whole && c.protocol == wire.ConnectGet && !c.rest && o.head.Status == http.StatusOK {
		c.code = wire.OK
		c.answerGet(o, body)
		return
	}
	c.land() // it is not kept
	if whole && !c.protocol.Framed() {
		c.code = wire.OK
		if o.head.Status != http.StatusOK && o.head.Status != http.StatusNotModified {
			c.code = wire.CodeOfError(body, header.Get("Content-Encoding"))
		}
		c.w.WriteHeader(o.head.Status)
		if len(body) > 0 {
			if _, err := c.w.Write(body); err != nil {
				c.cause = err
			}
		}
		return
	}
	if whole {
		conn.Unread(body)
	}
	// What has begun to arrive may take a little longer.
	c.timer.answered()
	if c.direct {
		if err := conn.Until(c.timer.deadline.Add(answerTime)); err != nil {
			c.cause = err
		}
	}
	c.relay(&http.Response{StatusCode: o.head.Status, Header: header}, !c.direct, conn.WriteTo)
}
