package edge

import (
	"context"
	"errors"
	"os"
	"time"

	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/kernel/balance"
)

// asked is an instance that has been sent a call.
type asked struct {
	conn  *upstream.Conn
	lease balance.Lease
	// stop ends that conn is aborted when the caller goes.
	stop func() bool
	head *upstream.Head
	err  error
}

// ask notes in a that the lease's conn is about to be used, and ends it with the caller.
func (c *call) ask(a *asked, conn *upstream.Conn, lease balance.Lease, head *upstream.Head) *asked {
	*a = asked{conn: conn, lease: lease, head: head, stop: context.AfterFunc(c.r.Context(), conn.Abort)}
	return a
}

// receive waits for the head of the answer. Where a call without effects is not answered for long, another instance is
// asked, too: one that is paused, or gone without a word, looks like one that works. It returns the one that answered, or
// the last one that failed; there is nothing left to do about the other.
func (c *call) receive(x *exchange, a *asked) *asked {
	if !c.route.Get || !x.tries.Left() {
		a.err = a.conn.Receive(a.head)
		return a
	}
	patience := min(patientFor, time.Until(c.timer.deadline)/hedgeShare)
	c.until(a.conn, time.Now().Add(patience))
	a.err = a.conn.Receive(a.head)
	silent := errors.Is(a.err, os.ErrDeadlineExceeded) && !a.conn.Answered() && c.ended() == nil
	if a.err != nil && !silent {
		return a
	}
	c.until(a.conn, c.timer.deadline)
	if a.err == nil {
		return a
	}
	other := c.another(x, a.lease)
	if other == nil {
		a.err = a.conn.Receive(a.head)
		return a
	}
	return c.race(x, a, other, patience)
}

// until moves the deadline of a connection that is aborted when the caller goes, and must stay so.
func (c *call) until(conn *upstream.Conn, deadline time.Time) {
	// Where the deadline cannot be set, reading fails, too.
	_ = conn.Until(deadline)
	if c.r.Context().Err() != nil {
		conn.Abort()
	}
}

// another sends the call to one more instance; nil where there is none, or more repetitions than the service can bear.
func (c *call) another(x *exchange, first balance.Lease) *asked {
	if !first.Retry() {
		return nil
	}
	lease, err := c.h.Direct.Balancer.Lease(c.r.Context(), c.route.Service, &x.tries)
	if err != nil {
		return nil
	}
	// A new connection: one that was used before may turn out to be closed.
	conn, err := c.h.Direct.Pool.Dial(c.r.Context(), lease.Address(), c.timer.deadline)
	if err != nil {
		outcome := balance.Unreachable
		if c.ended() != nil {
			outcome = balance.Abandoned
		}
		lease.Done(outcome, &x.tries, err)
		return nil
	}
	other := c.ask(&asked{}, conn, lease, &upstream.Head{})
	if _, err := conn.Send(x.request); err != nil {
		other.giveUp(balance.Broken, x, err)
		return nil
	}
	return other
}

// race waits for whichever answers first. first has been silent for some time.
func (c *call) race(x *exchange, first, second *asked, silent time.Duration) *asked {
	done := make(chan *asked, 2)
	for _, a := range []*asked{first, second} {
		go func() {
			a.err = a.conn.Receive(a.head)
			done <- a
		}()
	}
	won, lost := <-done, first
	if won == first {
		lost = second
	}
	outcome := balance.Abandoned
	switch {
	case won.err != nil: // the other one may do better
		won, lost = lost, won
		<-done
		if c.ended() == nil {
			outcome = balance.Broken
		}
	default:
		lost.conn.Abort()
		<-done
		if lost == first && silent >= patientFor {
			outcome = balance.Broken
		}
	}
	lost.giveUp(outcome, x, lost.err)
	return won
}

// giveUp ends what has been asked.
func (a *asked) giveUp(outcome balance.Outcome, x *exchange, cause error) {
	a.stop()
	a.conn.Release(false)
	a.lease.Done(outcome, &x.tries, cause)
}
