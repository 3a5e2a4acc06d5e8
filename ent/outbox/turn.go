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

// settling is a context for that.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
}
