package audit

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/cenkalti/backoff/v5"
)

// patience is how long a call is made again that fails for now: verifying a large log takes thousands of calls, and one
// instance that goes away, or the gateway's limit of calls, must not end it.
const patience = time.Minute

// call makes a call that changes nothing, and makes it again where it failed for now.
func call[R any](ctx context.Context, do func(context.Context) (R, error)) (R, error) {
	return backoff.Retry(ctx, func() (R, error) {
		res, err := do(ctx)
		switch connect.CodeOf(err) {
		case connect.CodeResourceExhausted:
			return res, err
		case connect.CodeUnavailable:
			// One that cannot be reached at all is for the person to see.
			if e, ok := errors.AsType[*connect.Error](err); ok && e.IsRemote() {
				return res, err
			}
		default:
		}
		if err != nil {
			return res, backoff.Permanent(err)
		}
		return res, nil
	}, backoff.WithMaxElapsedTime(patience))
}
