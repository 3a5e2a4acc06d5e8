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

// reasonTooManyStreams is the gateway's own: services do not count streams.
const reasonTooManyStreams = "TOO_MANY_STREAMS"

func unknownProcedure() error {
	return rpcerror.New(connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure, "no such procedure")
}

func tooLarge(limit int64) error {
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonMessageTooLarge,
		fmt.Sprintf("the message is larger than %d bytes", limit))
}

func tooManyStreams() error {
	return rpcerror.New(connect.CodeResourceExhausted, reasonTooManyStreams, "too many streams are open; end one first")
}

func tokenExpired(cause error) error {
	return rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenExpired, "the access token has expired", rpcerror.Cause(cause))
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
