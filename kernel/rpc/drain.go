package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
)

// errDraining is the cause with which the contexts of streams end when the server shuts down.
var errDraining = errors.New("the server shuts down")

// drain ends the streams that are under way when a server shuts down: they would go on for as long as their callers like.
// Unary calls are left to end by themselves.
type drain struct {
	begun context.Context
	begin context.CancelFunc
}

func newDrain() drain {
	begun, begin := context.WithCancel(context.Background())
	return drain{begun, begin}
}

// intercept cancels the context of a stream when the drain begins, and answers with unavailable then, so that the caller
// goes on with another instance.
func (d drain) intercept(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if spec.StreamType == connect.StreamTypeUnary {
			return next(ctx, spec, stream)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(d.begun, func() { cancel(errDraining) })()
		err := next(ctx, spec, stream)
		// Whatever the error: what the end of the context interrupts, such as a query, calls it as it likes.
		if err != nil && errors.Is(context.Cause(ctx), errDraining) {
			return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable,
				"this instance is going away: call again", rpcerror.Cause(err))
		}
		return err
	}
}
