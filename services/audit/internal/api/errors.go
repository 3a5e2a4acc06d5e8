// Package api answers audit's RPCs. It turns messages into calls of the store and back.
package api

import (
	"errors"
	"fmt"
	"strconv"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/audit/internal/store"
)

// Reasons of audit's own.
const (
	// reasonForeignEvent is what a service gets that records in another's name.
	reasonForeignEvent = "FOREIGN_EVENT"
	reasonNoSuchEvent  = "NO_SUCH_EVENT"
	reasonBeyondLog    = "BEYOND_LOG"
	reasonLogDamaged   = "LOG_DAMAGED"
	reasonTooManyTails = "TOO_MANY_TAILS"
)

func foreignEvent(caller, service string) error {
	return rpcerror.New(connect.CodePermissionDenied, reasonForeignEvent,
		fmt.Sprintf("%s cannot record events of %s", caller, service), rpcerror.Meta("service", service))
}

func invalidPageToken(field string, cause error) error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidPageToken,
		field+" was not made by this list", rpcerror.Field(field, "not a token of this list"), rpcerror.Cause(cause))
}

func noSuchEvent() error {
	return rpcerror.New(connect.CodeNotFound, reasonNoSuchEvent, "there is no such event, or it is not of this organization")
}

// beyondLog refuses what is about more of the log than there is.
func beyondLog(field string, size int64) error {
	return rpcerror.New(connect.CodeOutOfRange, reasonBeyondLog, fmt.Sprintf("%s is beyond the %d events that there are", field, size),
		rpcerror.Field(field, "beyond the end of the log"), rpcerror.Meta("tree_size", strconv.FormatInt(size, 10)))
}

func tooManyTails() error {
	return rpcerror.New(connect.CodeResourceExhausted, reasonTooManyTails, "too many streams of events are open on this instance: try again later")
}

// translate says what the store's errors are for callers.
func translate(err error) error {
	if errors.Is(err, store.ErrDamaged) {
		return rpcerror.New(connect.CodeDataLoss, reasonLogDamaged, "the audit log is not what was signed: its operator has to look after it", rpcerror.Cause(err))
	}
	return err
}

// checkTime refuses a timestamp outside the years that the type is defined for (google/protobuf/timestamp.proto), which
// its encoding allows.
func checkTime(field string, t *timestamppb.Timestamp) error {
	if t == nil {
		return nil
	}
	if err := t.CheckValid(); err != nil {
		return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, field+" is no time between the years 1 and 9999",
			rpcerror.Field(field, "must be between the years 1 and 9999"), rpcerror.Cause(err))
	}
	return nil
}
