package rpc

import (
	"context"
	"errors"
	"io"
	"strings"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
)

// explain turns what the transport says into errors of this service, without addresses: "cannot be reached" and "not in
// time", which a handler may return as they are, and everything else into errors that are scrubbed if it does.
func explain(service string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			stream, err := next(ctx, spec)
			if err != nil {
				return nil, explained(ctx, service, err)
			}
			return &explainedStream{ClientStream: stream, ctx: ctx, service: service}, nil
		}
	}
}

type explainedStream struct {
	connect.ClientStream

	ctx     context.Context
	service string
}

// Send implements connect.ClientStream.
func (s *explainedStream) Send(message any) error {
	return explained(s.ctx, s.service, s.ClientStream.Send(message))
}

// Receive implements connect.ClientStream.
func (s *explainedStream) Receive(message any) error {
	return explained(s.ctx, s.service, s.ClientStream.Receive(message))
}

func explained(ctx context.Context, service string, err error) error {
	var e *connect.Error
	if !errors.As(err, &e) {
		return err // none, io.EOF, or one that callers of this service will not see
	}
	switch {
	case !e.IsRemote() && errors.Is(ctx.Err(), context.Canceled):
		return connect.NewError(connect.CodeCanceled, "the call was canceled").WithCause(err)
	case e.Code() == connect.CodeDeadlineExceeded:
		return rpcerror.New(connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded,
			service+" did not answer in time", rpcerror.Meta("service", service), rpcerror.Cause(err))
	case e.IsRemote() && e.Code() == connect.CodeUnavailable:
		// It was reached, and lacks something itself.
		return unavailable(service, " cannot answer at the moment", err)
	case e.IsRemote():
		return err
	case lost(e):
		return unavailable(service, " cannot be reached at the moment", err)
	default:
		// Such as an answer that is too large. Its text is the library's, and not meant for callers.
		return e.WithRemote()
	}
}

// lost tells whether an error of the transport says that the connection could not be made, or broke. A reset is
// "canceled" to Connect, whoever did it, and an answer that ends too early is whatever its reader makes of it; net/http
// has no types for what HTTP/2 says then.
func lost(e *connect.Error) bool {
	switch e.Code() {
	case connect.CodeUnavailable, connect.CodeCanceled, connect.CodeUnknown:
		return true
	default:
		return errors.Is(e, io.ErrUnexpectedEOF) || strings.Contains(e.Message(), "incomplete envelope") || strings.Contains(e.Message(), "http2: ")
	}
}

func unavailable(service, message string, cause error) error {
	return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable, service+message,
		rpcerror.Meta("service", service), rpcerror.Cause(cause))
}
