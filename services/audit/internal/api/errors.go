// Package api answers audit's RPCs. It turns messages into calls of the store and back.
package api

import (
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/kernel/rpcerror"
)

// reasonForeignEvent is what a service gets that records in another's name.
const reasonForeignEvent = "FOREIGN_EVENT"

func foreignEvent(caller, service string) error {
	return rpcerror.New(connect.CodePermissionDenied, reasonForeignEvent,
		fmt.Sprintf("%s cannot record events of %s", caller, service), rpcerror.Meta("service", service))
}

func invalidPageToken(cause error) error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidPageToken,
		"page_token was not made by this list", rpcerror.Field("page_token", "not a token of this list"), rpcerror.Cause(cause))
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
