package edge

import (
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"ashlar.dev/kernel/rpcerror"
)

func unknownProcedure() error {
	return rpcerror.New(connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure, "no such procedure")
}

func tooLarge(limit int64) error {
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonMessageTooLarge,
		fmt.Sprintf("the message is larger than %d bytes", limit))
}

func rateLimited(wait time.Duration) error {
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonRateLimited, "too many requests", rpcerror.RetryAfter(wait))
}

// retryAfter returns when an error says that the caller may try again.
func retryAfter(err error) (time.Duration, bool) {
	var e *connect.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	for _, detail := range e.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue
		}
		if info, ok := message.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
