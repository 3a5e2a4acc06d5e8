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

// Reasons that are the gateway's own: services count no streams, see no cookies, and do not know where callers are.
const (
	reasonTooManyStreams   = "TOO_MANY_STREAMS"
	reasonCrossSiteRequest = "CROSS_SITE_REQUEST"
	reasonAddressDenied    = "ADDRESS_DENIED"
)

func addressDenied() error {
	return rpcerror.New(connect.CodePermissionDenied, reasonAddressDenied, "calls from this address are not taken")
}

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

func crossSiteRequest() error {
	return rpcerror.New(connect.CodePermissionDenied, reasonCrossSiteRequest,
		"cookies count only for pages of this host and of origins that may call")
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
