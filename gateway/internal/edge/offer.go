package edge

import (
	"context"
	"errors"
	"os"
	"time"

	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/kernel/balance"
)

// offer is a call that one instance was offered.
type offer struct {
	lease balance.Lease
	// ctx ends the offer; for one that is alone it is the call's.
	ctx  context.Context //nolint:containedctx // it belongs to the offer, which is made in a goroutine of its own
	head upstream.Head
	// conn is where the answer comes, once its head is there, and stop ends the watch over ctx.
	conn *upstream.Conn
	stop func() bool
	// silent is where the answer may still come, after it has not for long.
	silent *upstream.Conn
	began  time.Time // when the request was sent
	// err is why there is no answer, and outcome what that tells about the instance.
	err     error
	outcome balance.Outcome
}

// lease picks an instance for a call.
func (c *call) lease(ctx context.Context, tries *balance.Tries) (balance.Lease, error) {
	lease, err := c.h.Direct.Balancer.Lease(ctx, c.route.Service, tries)
	if err == nil {
		c.attempts++
		c.instance = lease.Instance()
	}
	return lease, err
}

// pick picks an instance for an offer.
func (o *offer) pick(ctx context.Context, c *call, x *exchange) (err error) {
	o.ctx = ctx
	o.lease, err = c.lease(ctx, &x.tries)
	return err
}

// make sends a request and waits for the head of the answer. It changes nothing of the call, so that two offers can be
// made at a time. With a patience it ends after so long a silence, and resume goes on.
func (o *offer) make(c *call, request []byte, patience time.Duration) {
	o.conn, o.stop, o.silent, o.err = nil, nil, nil, nil
	pool, deadline := c.h.Direct.Pool, c.connDeadline()
	conn, err := pool.Get(o.ctx, o.lease.Address(), deadline)
	for err == nil {
		o.stop = context.AfterFunc(o.ctx, conn.Abort)
		o.began = time.Now()
		sent, failure := conn.Send(request)
		if failure == nil && patience > 0 {
			o.bound(conn, o.began.Add(patience))
		}
		if failure == nil {
			failure = conn.Receive(&o.head)
		}
		if patience > 0 {
			o.bound(conn, deadline)
		}
		if failure == nil {
			o.conn = conn
			return
		}
		ended := c.ended() != nil || o.ctx.Err() != nil
		if patience > 0 && !ended && errors.Is(failure, os.ErrDeadlineExceeded) {
			o.silent = conn
			return
		}
		if !ended && conn.Reused() && !conn.Answered() && (sent == 0 || c.route.Safe) {
			// The instance had closed it. What has been sent may have had effects, so only what has none is sent again.
			o.release(conn)
			conn, err = pool.Dial(o.ctx, o.lease.Address(), deadline)
			continue
		}
		o.broke(c, conn, failure)
		return
	}
	o.err, o.outcome = err, balance.Unreachable
	if c.ended() != nil || o.ctx.Err() != nil {
		o.outcome = balance.Abandoned
	}
}

// resume waits for the answer of an instance that was silent.
func (o *offer) resume(c *call) {
	if failure := o.silent.Receive(&o.head); failure != nil {
		o.broke(c, o.silent, failure)
		return
	}
	o.conn = o.silent
}

// bound moves the deadline of a connection that is aborted when the offer's context ends, and must stay so.
func (o *offer) bound(conn *upstream.Conn, deadline time.Time) {
	_ = conn.Until(deadline) // where it cannot be set, reading fails, too
	if o.ctx.Err() != nil {
		conn.Abort()
	}
}

// broke ends an offer that was sent and not answered.
func (o *offer) broke(c *call, conn *upstream.Conn, failure error) {
	o.release(conn)
	o.err, o.outcome = failure, balance.Broken
	if o.ctx.Err() != nil || c.ended() != nil && time.Since(o.began) < patientFor {
		o.outcome = balance.Abandoned
	}
}

func (o *offer) release(conn *upstream.Conn) {
	o.stop()
	conn.Release(false)
}

// forget lets go of what belongs to a call.
func (o *offer) forget() {
	o.ctx, o.conn, o.stop, o.silent, o.err, o.lease = nil, nil, nil, nil, nil, balance.Lease{}
}

// abandon ends an offer that is not wanted any more.
func (o *offer) abandon(outcome balance.Outcome, tries *balance.Tries) {
	if o.conn != nil {
		o.release(o.conn)
		o.conn = nil
	}
	o.lease.Done(outcome, tries, o.err)
}
