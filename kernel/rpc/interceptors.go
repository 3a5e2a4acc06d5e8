package rpc

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"ashlar.dev/kernel/rpcerror"
)

// recoverPanics answers a panic with internal and logs it with its stack. It is the outermost interceptor.
func recoverPanics(log *slog.Logger) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
			defer func() {
				if r := recover(); r != nil {
					log.ErrorContext(ctx, "panic", "procedure", spec.Procedure, "panic", r, "stack", string(debug.Stack()))
					err = internalError(nil)
				}
			}()
			return next(ctx, spec, stream)
		}
	}
}

// mapErrors makes sure that every answer carries a code and a reason that are meant for the caller: errors that nobody
// meant for the wire become internal and are logged, with their cause. Errors that are about what the service stands on, and
// may be over soon, become unavailable.
func mapErrors(log *slog.Logger, guards Guards) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			err := next(ctx, spec, stream)
			if err == nil {
				return nil
			}
			mapped := mapError(ctx, err, guards)
			switch connect.CodeOf(mapped) {
			case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
				log.ErrorContext(ctx, "call failed", "procedure", spec.Procedure, "error", err, "cause", cause(err))
			case connect.CodeUnavailable:
				log.WarnContext(ctx, "call failed for now", "procedure", spec.Procedure, "error", err, "cause", cause(err))
			default:
				log.DebugContext(ctx, "call refused", "procedure", spec.Procedure, "error", err, "cause", cause(err))
			}
			return mapped
		}
	}
}

func mapError(ctx context.Context, err error, guards Guards) error {
	var e *connect.Error
	switch {
	case errors.As(err, &e) && !e.IsRemote():
		if rpcerror.Reason(e) != "" {
			return e
		}
		// Errors of the RPC library itself, such as a body that is no JSON, and of validation.
		return withReason(e)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return deadlineExceeded(err)
	// What a database says to a statement that was cancelled does not mention the context.
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled(err)
	case is(guards.OutcomeUnknown, err):
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonOutcomeUnknown,
			"it is not known whether this was done: look, or send it again with the same request_id", rpcerror.Cause(err))
	case is(guards.Unavailable, err):
		// Before deadlines that are not the caller's, such as that of an attempt to connect.
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable, "this cannot be done at the moment: try again", rpcerror.Cause(err))
	case errors.Is(err, context.DeadlineExceeded):
		return deadlineExceeded(err)
	case errors.Is(err, context.Canceled):
		return canceled(err)
	default:
		return internalError(err)
	}
}

func is(question func(error) bool, err error) bool { return question != nil && question(err) }

func deadlineExceeded(err error) error {
	return rpcerror.New(connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded, "the deadline has passed", rpcerror.Cause(err))
}

func canceled(err error) error {
	return connect.NewError(connect.CodeCanceled, "the call was canceled").WithCause(err)
}

// withReason adds an ErrorInfo to an error that has none and keeps its other details.
func withReason(e *connect.Error) error {
	reason := rpcerror.ReasonInternal
	switch e.Code() {
	case connect.CodeInvalidArgument:
		reason = rpcerror.ReasonInvalidRequest
	case connect.CodeUnimplemented:
		reason = rpcerror.ReasonUnknownProcedure
	case connect.CodeResourceExhausted:
		reason = rpcerror.ReasonMessageTooLarge
	case connect.CodeUnavailable:
		reason = rpcerror.ReasonServiceUnavailable
	case connect.CodeDeadlineExceeded:
		reason = rpcerror.ReasonDeadlineExceeded
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
	default:
		// A handler's own error without a reason: nothing to add that would be true.
		return e
	}
	options := []rpcerror.Option{rpcerror.Cause(errors.Unwrap(e))}
	for _, detail := range e.Details() {
		options = append(options, violations(detail)...)
	}
	out := rpcerror.New(e.Code(), reason, e.Message(), options...)
	for _, detail := range e.Details() {
		out = out.WithDetail(detail)
	}
	return out
}

// violations says what validation found in the form in which handlers say it (google.rpc.BadRequest), so that callers
// need to know one form only.
func violations(detail *connect.ErrorDetail) []rpcerror.Option {
	message, err := connectproto.UnmarshalErrorDetail(detail)
	if err != nil {
		return nil
	}
	found, ok := message.(*validate.Violations)
	if !ok {
		return nil
	}
	var fields []rpcerror.Option
	for _, v := range found.GetViolations() {
		fields = append(fields, rpcerror.Field(protovalidate.FieldPathString(v.GetField()), v.GetMessage()))
	}
	return fields
}

func internalError(err error) error {
	return rpcerror.New(connect.CodeInternal, rpcerror.ReasonInternal, "something went wrong on our side", rpcerror.Cause(err))
}

func cause(err error) string {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		if c := errors.Unwrap(e); c != nil {
			return c.Error()
		}
	}
	return ""
}
