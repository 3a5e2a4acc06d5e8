package edge

import (
	"context"
	"time"
)

// hedge makes the first offer and, where its answer takes long, a second one to another instance, as far as the budget
// for retries goes. It returns the one that was answered first; where none was, one that has not been accounted for.
// (Dean and Barroso, The Tail at Scale, 2013: hedged requests.)
func (c *call) hedge(x *exchange) *offer {
	ctx := c.r.Context()
	one, endOne := context.WithCancel(ctx)
	two, endTwo := context.WithCancel(ctx)
	ends := map[*offer]context.CancelFunc{&x.first: endOne, &x.second: endTwo}
	done := make(chan *offer, len(ends))
	start := func(o *offer, ctx context.Context) {
		o.ctx = ctx
		go func() { //nolint:contextcheck // the offer has it
			o.make(c, x.request)
			done <- o
		}()
	}
	start(&x.first, one)
	timer := time.NewTimer(c.route.HedgeAfter)
	defer timer.Stop()
	select {
	case o := <-done:
		endTwo()
		return o.until(endOne)
	case <-timer.C:
	}
	if !x.tries.Left() || !x.first.lease.Retry() || c.lease(ctx, x, &x.second) != nil {
		endTwo()
		return (<-done).until(endOne)
	}
	c.h.metrics.hedged.Inc()
	start(&x.second, two)
	winner := <-done
	loser := &x.first
	if winner == loser {
		loser = &x.second
	}
	if winner.err != nil {
		// The other one may still be answered.
		winner.lease.Done(winner.outcome, &x.tries, winner.err)
		ends[winner]()
		return (<-done).until(ends[loser])
	}
	ends[loser]()
	<-done // nobody else may touch the request, and the place for it, once this returns
	loser.abandon(&x.tries)
	return winner.until(ends[winner])
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
