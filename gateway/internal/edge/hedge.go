package edge

import (
	"cmp"
	"context"
	"time"

	"ashlar.dev/kernel/balance"
)

// hedgeShare is which part of the time that is left the first instance is waited for at most.
const hedgeShare = 3

// patience is how long a call waits for the first answer before another instance is asked, too: what the service's manifest
// says, or else so long that the instance looks paused, or gone without a word. 0: only one instance may be asked, or there
// is no time for another one.
func (c *call) patience() time.Duration {
	if !c.route.Get() {
		return 0
	}
	left := time.Until(c.timer.deadline)
	if patience := cmp.Or(c.route.HedgeAfter, min(patientFor, left/hedgeShare)); patience < left {
		return patience
	}
	return 0
}

// hedge goes on after a first offer that has not been answered for long: it makes a second one to another instance, as far
// as the budget for retries goes. It returns the one that was answered first; where none was, one that has not been
// accounted for. (Dean and Barroso, The Tail at Scale, 2013: hedged requests.)
func (c *call) hedge(x *exchange) *offer {
	first, second := &x.first, &x.second
	ctx, end := context.WithCancel(c.r.Context())
	if !first.lease.Retry(&x.tries) || second.pick(ctx, c, x) != nil {
		end()
		first.resume(c)
		return first
	}
	c.h.metrics.hedged.Inc()
	done := make(chan *offer, 2)
	go func() {
		first.resume(c)
		done <- first
	}()
	go func() {
		second.make(c, x.request, 0)
		done <- second
	}()
	winner := <-done
	switch {
	case winner.err != nil:
		// The other one may still be answered.
		winner.lease.Done(winner.outcome, &x.tries, winner.err)
		if winner = <-done; winner == first {
			end()
			return first
		}
	case winner == first:
		end()
		<-done // nobody else may touch the request, and the place for it, once this returns
		second.abandon(balance.Abandoned, &x.tries)
		return first
	default:
		first.silent.Abort()
		<-done
		outcome := balance.Abandoned
		if time.Since(first.began) >= patientFor {
			outcome = balance.Broken
		}
		first.abandon(outcome, &x.tries)
	}
	return second.until(end)
}

// until keeps an offer's context until the offer has ended.
func (o *offer) until(end context.CancelFunc) *offer {
	if o.err != nil {
		end()
		return o
	}
	stop := o.stop
	o.stop = func() bool {
		clean := stop()
		end()
		return clean
	}
	return o
}
