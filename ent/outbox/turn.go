package outbox

import (
	"context"
	"time"
)

// turns is how relays of one database agree on who delivers.
type turns interface {
	// take takes the right to deliver one batch; nil where another relay has it. It
	// does not wait for the other.
	take(ctx context.Context) (turn, error)
}

// turn is the right to deliver one batch. It ends with settle or abandon.
type turn interface {
	// until is when the sink has to have returned.
	until() time.Time
	// head reads the batch.
	head(ctx context.Context, limit int) (batch, error)
	// settle records that the batch was delivered, also after the end of ctx.
	settle(ctx context.Context, b batch) error
	// abandon lets another relay begin at once, also after the end of ctx.
	abandon(ctx context.Context) error
}

// settleTimeout bounds what has to be written although the relay is to end.
const settleTimeout = 2 * time.Second

// settling is a context for that: it ends so long after ctx does. While ctx has not ended it lasts until our right to deliver
// does, if that is later: what is given up sooner is delivered twice, and nobody else could deliver meanwhile.
func settling(ctx context.Context, ends time.Time) (context.Context, context.CancelFunc) {
	least := time.Now().Add(settleTimeout)
	if ctx.Err() != nil || ends.Before(least) {
		return context.WithDeadline(context.WithoutCancel(ctx), least)
	}
	settled, cancel := context.WithDeadline(context.WithoutCancel(ctx), ends)
	unwatch := context.AfterFunc(ctx, func() {
		hurry := time.NewTimer(settleTimeout)
		defer hurry.Stop()
		select {
		case <-hurry.C:
			cancel()
		case <-settled.Done():
		}
	})
	return settled, func() {
		unwatch()
		cancel()
	}
}
