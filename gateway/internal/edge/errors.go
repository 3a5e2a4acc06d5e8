package edge

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"ashlar.dev/kernel/rpcerror"
)

// Reasons of the gateway's own: services count no streams, and have no paths but the names of procedures.
const (
	reasonTooManyStreams   = "TOO_MANY_STREAMS"
	reasonUnknownPath      = "UNKNOWN_PATH"
	reasonMethodNotAllowed = "METHOD_NOT_ALLOWED"
	reasonUnsupportedMedia = "UNSUPPORTED_MEDIA_TYPE"
)

func unknownProcedure() error {
	return rpcerror.New(connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure, "no such procedure")
}

func unknownPath() *connect.Error {
	return rpcerror.New(connect.CodeNotFound, reasonUnknownPath, "there is nothing at this path")
}

func tooLarge(limit int64) *connect.Error {
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonMessageTooLarge,
		fmt.Sprintf("the message is larger than %d bytes", limit))
}

func rateLimited(wait time.Duration) *connect.Error {
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonRateLimited, "too many requests", rpcerror.RetryAfter(wait))
}

func tooManyStreams() error {
	return rpcerror.New(connect.CodeResourceExhausted, reasonTooManyStreams, "too many streams are open; end one first")
}

func tokenExpired(cause error) error {
	return rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenExpired, "the access token has expired", rpcerror.Cause(cause))
}

// seconds is a time as Retry-After has it (RFC 9110, section 10.2.3), not too short.
func seconds(wait time.Duration) string {
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
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
