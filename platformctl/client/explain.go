package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// notSignedIn says that a profile has no tokens for a gateway.
func notSignedIn(name, gateway string) error {
	return exit.With(exit.NotSignedIn, fmt.Errorf("profile %s is not signed in at %s: platformctl login", name, gateway))
}

// codes are the exit codes for what a call ended with. What is not here is exit.Failure.
var codes = map[connect.Code]int{
	connect.CodeUnauthenticated:    exit.NotSignedIn,
	connect.CodePermissionDenied:   exit.Denied,
	connect.CodeNotFound:           exit.NotFound,
	connect.CodeAlreadyExists:      exit.Conflict,
	connect.CodeFailedPrecondition: exit.Conflict,
	connect.CodeAborted:            exit.Conflict,
	connect.CodeInvalidArgument:    exit.Invalid,
	connect.CodeOutOfRange:         exit.Invalid,
	connect.CodeUnavailable:        exit.Unavailable,
	connect.CodeDeadlineExceeded:   exit.Unavailable,
	connect.CodeResourceExhausted:  exit.Unavailable,
	connect.CodeCanceled:           exit.Interrupted,
}

// Explain turns what a call ended with into a message for people and an exit code; any other error it returns as it is.
// The message has what the platform said, the reason that programs go by, and what else the error tells: fields that are
// wrong, when to try again.
func Explain(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	if _, coded := errors.AsType[*exit.Error](err); coded {
		return err
	}
	code, known := codes[e.Code()]
	if !known {
		code = exit.Failure
	}
	if e.Code() == connect.CodeUnknown && errors.Is(err, context.DeadlineExceeded) {
		code = exit.Unavailable
	}
	return exit.With(code, &explained{text: explanation(e), err: err})
}

// explained shows an error to people and keeps it for errors.As.
type explained struct {
	text string
	err  error
}

// Error implements error.
func (e *explained) Error() string { return e.text }

// Unwrap returns the error as it came.
func (e *explained) Unwrap() error { return e.err }

func explanation(e *connect.Error) string {
	d := detailsOf(e)
	if !e.IsRemote() && d.info == nil {
		return local(e)
	}
	message := e.Message()
	if message == "" {
		message = strings.ReplaceAll(e.Code().String(), "_", " ")
	}
	var text strings.Builder
	text.WriteString(output.Clean(message))
	reason := e.Code().String()
	if d.info.GetReason() != "" {
		reason = d.info.GetReason()
	}
	fmt.Fprintf(&text, " (%s)", output.Clean(reason))
	for _, field := range d.fields {
		fmt.Fprintf(&text, "\n  %s: %s", output.Clean(field.GetField()), output.Clean(field.GetDescription()))
	}
	if hint := hint(e.Code(), d); hint != "" {
		text.WriteString("\n  " + hint)
	}
	return text.String()
}

// local explains what never was an answer of the platform.
func local(e *connect.Error) string {
	switch e.Code() {
	case connect.CodeUnavailable:
		return "the gateway does not answer: " + output.Clean(e.Message()) + "\n  Is the platform up? --gateway or ASHLAR_GATEWAY_URL says where it is."
	case connect.CodeDeadlineExceeded:
		return "there was no answer in time\n  --timeout gives a call longer, up to what the service allows."
	case connect.CodeCanceled:
		return "interrupted"
	default:
		return output.Clean(e.Message())
	}
}

// hint says what a person can do about it, where that is known.
func hint(code connect.Code, d details) string {
	switch reason := d.info.GetReason(); {
	case code == connect.CodePermissionDenied && d.info.GetMetadata()["permission"] != "":
		command := "platformctl grants grant USER ROLE"
		if organization := d.info.GetMetadata()["organization"]; organization != "" {
			command += " --org " + output.Clean(organization)
		}
		return "Somebody who may can grant a role that has it: " + command
	case slices.Contains([]string{"TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED"}, reason):
		return "Sign in: platformctl login"
	case code == connect.CodeDeadlineExceeded:
		return "--timeout gives a call longer, up to what the service allows."
	case d.retry > 0:
		return fmt.Sprintf("Try again in %s.", d.retry.Round(time.Millisecond))
	default:
		return ""
	}
}

// details are those of an error that people want to know.
type details struct {
	info   *errdetails.ErrorInfo
	fields []*errdetails.BadRequest_FieldViolation
	retry  time.Duration
}

func detailsOf(e *connect.Error) details {
	d := details{info: rpcerror.Info(e)}
	for _, detail := range e.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue
		}
		switch m := message.(type) {
		case *errdetails.BadRequest:
			d.fields = append(d.fields, m.GetFieldViolations()...)
		case *errdetails.RetryInfo:
			d.retry = m.GetRetryDelay().AsDuration()
		}
	}
	return d
}
