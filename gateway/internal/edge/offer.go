package edge

import (
	"context"
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
	// err is why there is no answer, and outcome what that tells about the instance.
	err     error
	outcome balance.Outcome
}

// lease picks an instance for an offer.
func (c *call) lease(ctx context.Context, x *exchange, o *offer) error {
	lease, err := c.h.Direct.Balancer.Lease(ctx, c.route.Service, &x.tries)
	if err != nil {
		return err
	}
	o.lease, o.ctx = lease, ctx
	return nil
}

// make sends a request and waits for the head of the answer. It changes nothing of the call, so that two offers can be
// made at a time.
func (o *offer) make(c *call, request []byte) {
	o.conn, o.stop, o.err = nil, nil, nil
	pool, deadline := c.h.Direct.Pool, c.timer.deadline
	conn, err := pool.Get(o.ctx, o.lease.Address(), deadline)
	for err == nil {
		stop := context.AfterFunc(o.ctx, conn.Abort)
		began := time.Now()
		sent, failure := conn.Send(request)
		if failure == nil {
			failure = conn.Receive(&o.head)
		}
		if failure == nil {
			o.conn, o.stop = conn, stop
			return
		}
		stop()
		conn.Release(false)
		ended := c.ended() != nil || o.ctx.Err() != nil
		if !ended && conn.Reused() && !conn.Answered() && (sent == 0 || c.route.Get) {
			// The instance had closed it. What has been sent may have had effects, so only what has none is sent again.
			conn, err = pool.Dial(o.ctx, o.lease.Address(), deadline)
			continue
		}
		o.err, o.outcome = failure, balance.Broken
		if ended && (time.Since(began) < patientFor || o.ctx.Err() != nil) {
			o.outcome = balance.Abandoned
		}
		return
	}
	o.err, o.outcome = err, balance.Unreachable
	if c.ended() != nil || o.ctx.Err() != nil {
		o.outcome = balance.Abandoned
	}
}

// forget lets go of what belongs to a call.
func (o *offer) forget() { o.ctx, o.conn, o.stop, o.err, o.lease = nil, nil, nil, nil, balance.Lease{} }

// abandon ends an offer that is not wanted any more.
func (o *offer) abandon(tries *balance.Tries) {
	if o.conn != nil {
		o.stop()
		o.conn.Release(false)
		o.conn = nil
	}
	o.lease.Done(balance.Abandoned, tries, o.err)
}
