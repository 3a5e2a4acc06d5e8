package api

import (
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/kernel/rpcerror"
)

// onlyDisplayName checks an update whose one changeable field is display_name. The mask `*` means all of them (AIP-134).
func onlyDisplayName(mask *fieldmaskpb.FieldMask, message, value string) error {
	for _, path := range mask.GetPaths() {
		if path != "display_name" && path != "*" {
			return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonUnsupportedUpdateMask,
				fmt.Sprintf("update_mask: %q cannot be changed; display_name can", path), rpcerror.Field("update_mask", "only display_name can be changed"))
		}
	}
	if len(mask.GetPaths()) == 0 {
		return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonUnsupportedUpdateMask,
			"update_mask names no field", rpcerror.Field("update_mask", "names no field"))
	}
	if value == "" {
		field := message + ".display_name"
		return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, field+" is empty", rpcerror.Field(field, "must not be empty"))
	}
	return nil
}
