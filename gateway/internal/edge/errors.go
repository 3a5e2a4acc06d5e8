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

// Reasons that are the gateway's own: services count neither streams nor what is in them, see no cookies, do not know where callers are, and
// have no paths but the names of procedures.
const (
	reasonTooManyStreams   = "TOO_MANY_STREAMS"
	reasonStreamTooLarge   = "STREAM_TOO_LARGE"
	reasonCrossSiteRequest = "CROSS_SITE_REQUEST"
	reasonAddressDenied    = "ADDRESS_DENIED"
	reasonUnknownPath      = "UNKNOWN_PATH"
	reasonMethodNotAllowed = "METHOD_NOT_ALLOWED"
	reasonUnsupportedMedia = "UNSUPPORTED_MEDIA_TYPE"
)

func addressDenied() error {
	return rpcerror.New(connect.CodePermissionDenied, reasonAddressDenied, "calls from this address are not taken")
}

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

func tooManyStreams() error {
	return rpcerror.New(connect.CodeResourceExhausted, reasonTooManyStreams, "too many streams are open; end one first")
}

func crossSiteRequest() error {
	return rpcerror.New(connect.CodePermissionDenied, reasonCrossSiteRequest,
		"cookies count only for pages of this host and of origins that may call")
}

func tokenExpired(cause error) error {
	return rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenExpired, "the access token has expired", rpcerror.Cause(cause))
}

// seconds is a time as Retry-After has it (RFC 9110, section 10.2.3), not too short.
func seconds(wait time.Duration) string {
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
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
