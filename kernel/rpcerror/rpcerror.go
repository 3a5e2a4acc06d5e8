// Package rpcerror makes the errors that callers see: a Connect code, a sentence for people, and a
// google.rpc.ErrorInfo whose reason a program can switch on (AIP-193).
package rpcerror

import (
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Domain is the domain of the reasons that the platform itself gives.
const Domain = "ashlar.dev"

// Reasons that the platform gives, whichever service answers. Services add their own beside their errors.
const (
	ReasonTokenMissing          = "TOKEN_MISSING"
	ReasonTokenInvalid          = "TOKEN_INVALID"
	ReasonTokenExpired          = "TOKEN_EXPIRED"
	ReasonKeysUnavailable       = "KEYS_UNAVAILABLE"
	ReasonPermissionDenied      = "PERMISSION_DENIED"
	ReasonPolicyUnavailable     = "POLICY_UNAVAILABLE"
	ReasonServicesOnly          = "SERVICES_ONLY"
	ReasonInvalidRequest        = "INVALID_REQUEST"
	ReasonInvalidPageToken      = "INVALID_PAGE_TOKEN"
	ReasonUnsupportedUpdateMask = "UNSUPPORTED_UPDATE_MASK"
	ReasonMessageTooLarge       = "MESSAGE_TOO_LARGE"
	ReasonUnknownProcedure      = "UNKNOWN_PROCEDURE"
	ReasonServiceUnavailable    = "SERVICE_UNAVAILABLE"
	ReasonOutcomeUnknown        = "OUTCOME_UNKNOWN"
	ReasonDeadlineExceeded      = "DEADLINE_EXCEEDED"
	ReasonRateLimited           = "RATE_LIMITED"
	ReasonOverloaded            = "OVERLOADED"
	ReasonInternal              = "INTERNAL"
)

// Option adds to an error.
type Option func(*builder)

type builder struct {
	metadata map[string]string
	details  []proto.Message
	fields   []*errdetails.BadRequest_FieldViolation
	cause    error
}

// Meta adds a pair to the metadata of the ErrorInfo.
func Meta(key, value string) Option {
	return func(b *builder) {
		if b.metadata == nil {
			b.metadata = map[string]string{}
		}
		b.metadata[key] = value
	}
}

// Cause keeps err for logs. It never crosses the wire.
func Cause(err error) Option { return func(b *builder) { b.cause = err } }

// RetryAfter tells the caller when to try again.
func RetryAfter(d time.Duration) Option {
	return func(b *builder) {
		b.details = append(b.details, &errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
	}
}

// Quota tells the caller which quota he has used up: subject is whose it is.
func Quota(subject, description string) Option {
	return func(b *builder) {
		b.details = append(b.details, &errdetails.QuotaFailure{
			Violations: []*errdetails.QuotaFailure_Violation{{Subject: subject, Description: description}},
		})
	}
}

// Field names a field of the request, by its path, and what is wrong with it. All that are named are in one
// google.rpc.BadRequest.
func Field(path, description string) Option {
	return func(b *builder) {
		b.fields = append(b.fields, &errdetails.BadRequest_FieldViolation{Field: path, Description: description})
	}
}

// New returns an error with a code, a reason and a sentence for people. The sentence crosses the wire: it must hold
// no secret and nothing of the inside.
func New(code connect.Code, reason, message string, options ...Option) *connect.Error {
	var b builder
	for _, option := range options {
		option(&b)
	}
	e := connect.NewError(code, message)
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: b.metadata}
	if len(b.fields) > 0 {
		b.details = append(b.details, &errdetails.BadRequest{FieldViolations: b.fields})
	}
	for _, message := range append([]proto.Message{info}, b.details...) {
		detail, err := connectproto.NewErrorDetail(message)
		if err != nil {
			// Only a message that cannot be marshaled gets here, and these always can.
			panic(err)
		}
		e = e.WithDetail(detail)
	}
	return e.WithCause(b.cause)
}

// Reason returns the reason of err's ErrorInfo, or "" where it has none.
func Reason(err error) string {
	if info := Info(err); info != nil {
		return info.GetReason()
	}
	return ""
}

// Info returns err's ErrorInfo, or nil where it has none.
func Info(err error) *errdetails.ErrorInfo {
	var e *connect.Error
	if !errors.As(err, &e) {
		return nil
	}
	for _, detail := range e.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue
		}
		if info, ok := message.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// Forward returns err, which another service answered, as this service's own answer: code, message and details as
// they are. Without it Connect hides a peer's verdict from the caller, as it should by default.
func Forward(err error) error {
	var e *connect.Error
	if !errors.As(err, &e) || !e.IsRemote() {
		return err
	}
	own := connect.NewError(e.Code(), e.Message())
	for _, detail := range e.Details() {
		own = own.WithDetail(detail)
	}
	return own.WithCause(err)
}
