package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/balance"
)

const (
	// directBytes bounds the requests that are read as a whole before they are passed on. Larger ones flow.
	directBytes = 64 << 10
	// wholeBytes bounds the answers that are written in one piece. Larger ones flow.
	wholeBytes = 16 << 10
	// patientFor is how long an instance may work on a call before it is held against it that the deadline passed:
	// callers choose deadlines, and must not be able to put an instance out of use by that.
	patientFor = 2 * time.Second
)

// Direct sends calls of one message each way, read as a whole, over a connection that each has to itself for that time.
type Direct struct {
	Balancer *balance.Transport
	Pool     *upstream.Pool
}

// exchange is what a direct call needs and the next one can use again.
type exchange struct {
	body    []byte // of the request
	request []byte // all of it
	head    upstream.Head
	tries   balance.Tries
	copying []byte
}

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

// isDirect tells whether a call goes that way: one message each way, whose size is known and small, in a protocol that
// does not need HTTP/2.
func (c *call) isDirect() bool {
	if c.h.Direct == nil || c.route.Service == "" || !c.route.Unary() || c.r.ContentLength < 0 || c.r.ContentLength > directBytes {
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
	x, _ := exchanges.Get().(*exchange) // nothing else is in there
	defer exchanges.Put(x)
	if err := c.readBody(x); err != nil {
		c.request.broken.Store(true)
		c.refuse(c.failure(err))
		return
	}
	if err := c.enter(); err != nil {
		c.refuse(err)
		return
	}
	x.tries = balance.Tries{}
	x.request = x.request[:0]
	for c.attempt(x) {
		if !x.tries.Left() {
			c.refuse(c.failure(x.tries.Cause()))
			return
		}
	}
}

// readBody reads the whole request: an instance is not kept waiting by a caller who sends slowly.
func (c *call) readBody(x *exchange) error {
	n := int(c.r.ContentLength)
	if c.r.Method == http.MethodGet {
		n = 0
	}
	if cap(x.body) < n {
		x.body = make([]byte, max(n, 1<<10))
	}
	x.body = x.body[:n]
	_, err := io.ReadFull(c.r.Body, x.body)
	return err
}

// attempt offers the call to one instance, and reports whether it may be offered to another: nothing has been answered
// then.
func (c *call) attempt(x *exchange) (again bool) {
	lease, err := c.h.Direct.Balancer.Lease(c.r.Context(), c.route.Service, &x.tries)
	if err != nil {
		c.refuse(c.failure(err))
		return false
	}
	conn, err := c.h.Direct.Pool.Get(c.r.Context(), lease.Address(), c.timer.deadline)
	for err == nil {
		stop := context.AfterFunc(c.r.Context(), conn.Abort)
		if len(x.request) == 0 {
			x.request = append(c.appendHead(x.request, len(x.body)), x.body...)
		}
		began := time.Now()
		sent, failure := conn.Send(x.request)
		if failure == nil {
			failure = conn.Receive(&x.head)
		}
		if failure == nil {
			c.answer(x, conn, lease, stop)
			return false
		}
		stop()
		conn.Release(false)
		ended := c.ended()
		switch {
		case ended != nil:
			outcome := balance.Abandoned
			if time.Since(began) >= patientFor && context.Cause(c.r.Context()) == nil {
				outcome = balance.Broken
			}
			lease.Done(outcome, &x.tries, failure)
			c.refuse(c.failure(failure))
			return false
		case conn.Reused() && !conn.Answered() && (sent == 0 || c.route.Get):
			// The instance had closed it. What has been sent may have had effects, so only what has none is sent again.
			conn, err = c.h.Direct.Pool.Dial(c.r.Context(), lease.Address(), c.timer.deadline)
			continue
		}
		lease.Done(balance.Broken, &x.tries, failure)
		if c.route.Get && lease.Retry() {
			return true
		}
		c.refuse(c.failure(failure))
		return false
	}
	if c.ended() != nil {
		lease.Done(balance.Abandoned, &x.tries, err)
		c.refuse(c.failure(err))
		return false
	}
	lease.Done(balance.Unreachable, &x.tries, err)
	return true
}

// answer passes on what an instance has begun to answer.
func (c *call) answer(x *exchange, conn *upstream.Conn, lease balance.Lease, stop func() bool) {
	outcome := balance.Broken
	var failure error
	defer func() { // also where the caller's connection is cut off
		conn.Release(stop())
		lease.Done(outcome, &x.tries, failure)
	}()
	c.answeredWith(x.head.Status, "", 0)
	body, whole, err := conn.Whole(wholeBytes)
	if err != nil {
		if failure = err; c.ended() != nil {
			outcome = balance.Abandoned
		}
		c.refuse(c.failure(err))
		return
	}
	outcome = balance.Answered
	header := c.w.Header()
	x.head.CopyTo(header)
	if whole && !c.protocol.Framed() {
		c.code = wire.OK
		if x.head.Status != http.StatusOK && x.head.Status != http.StatusNotModified {
			c.code = wire.CodeOfError(body, header.Get("Content-Encoding"))
		}
		c.w.WriteHeader(x.head.Status)
		if len(body) > 0 {
			if _, err := c.w.ResponseWriter.Write(body); err != nil { //nolint:gosec // it is passed on as the service made it
				c.cause = err
			}
		}
		return
	}
	if whole {
		conn.Unread(body)
	}
	// What has begun to arrive may take a little longer.
	if err := conn.Until(c.timer.deadline.Add(answerTime)); err != nil {
		c.cause = err
	}
	c.flow(x, conn)
}

// flow copies an answer piece by piece.
func (c *call) flow(x *exchange, conn *upstream.Conn) {
	c.response.watch(c, &http.Response{StatusCode: x.head.Status, Header: c.w.Header(), Body: io.NopCloser(conn)})
	c.w.WriteHeader(x.head.Status)
	if x.copying == nil {
		x.copying = make([]byte, copyBytes)
	}
	for {
		n, err := c.response.Read(x.copying)
		if n > 0 {
			if _, err := c.w.Write(x.copying[:n]); err != nil {
				c.code, c.cause = codeOf(c.failure(err)), err
				return
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // it must not look whole
		}
	}
}
