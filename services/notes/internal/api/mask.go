package api

import (
	"fmt"

	"connectrpc.com/connect/v2"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/notes/internal/store"
)

// noteChanges returns what an update changes: the fields that its mask names. The mask `*` means all of them (AIP-134).
func noteChanges(req *notesv1.UpdateNoteRequest) (store.NoteChanges, error) {
	var changes store.NoteChanges
	displayName, description := req.GetNote().GetDisplayName(), req.GetNote().GetDescription()
	for _, path := range req.GetUpdateMask().GetPaths() {
		switch path {
		case "display_name":
			changes.DisplayName = &displayName
		case "description":
			changes.Description = &description
		case "*":
			changes.DisplayName, changes.Description = &displayName, &description
		default:
			return changes, unsupportedMask(fmt.Sprintf("%q cannot be changed; display_name and description can", path))
		}
	}
	if changes == (store.NoteChanges{}) {
		return changes, unsupportedMask("names no field")
	}
	if changes.DisplayName != nil && displayName == "" {
		const field = "note.display_name"
		return changes, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest,
			field+" is empty", rpcerror.Field(field, "must not be empty"))
	}
	return changes, nil
}

func unsupportedMask(why string) error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonUnsupportedUpdateMask,
		"update_mask: "+why, rpcerror.Field("update_mask", why))
}
