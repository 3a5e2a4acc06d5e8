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

func rateLimited(wait time.Duration) error {
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonRateLimited, "too many requests", rpcerror.RetryAfter(wait))
}

func tooManyStreams() error {
	return rpcerror.New(connect.CodeResourceExhausted, reasonTooManyStreams, "too many streams are open; end one first")
}

func tokenExpired(cause error) error {
	return rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenExpired, "the access token has expired", rpcerror.Cause(cause))
}

// explained returns the reason that an error gives, and how long the caller should wait before he tries again; 0 where it does
// not say.
func explained(err error) (reason string, wait time.Duration) {
	var e *connect.Error
	if !errors.As(err, &e) {
		return "", 0
	}
	for _, detail := range e.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue
		}
		switch message := message.(type) {
		case *errdetails.ErrorInfo:
			reason = message.GetReason()
		case *errdetails.RetryInfo:
			wait = message.GetRetryDelay().AsDuration()
		}
	}
	return reason, wait
}
