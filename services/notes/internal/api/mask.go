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
	title, body := req.GetNote().GetTitle(), req.GetNote().GetBody()
	for _, path := range req.GetUpdateMask().GetPaths() {
		switch path {
		case "title":
			changes.Title = &title
		case "body":
			changes.Body = &body
		case "*":
			changes.Title, changes.Body = &title, &body
		default:
			return changes, unsupportedMask(fmt.Sprintf("%q cannot be changed; title and body can", path))
		}
	}
	if changes == (store.NoteChanges{}) {
		return changes, unsupportedMask("names no field")
	}
	if changes.Title != nil && title == "" {
		const field = "note.title"
		return changes, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest,
			field+" is empty", rpcerror.Field(field, "must not be empty"))
	}
	return changes, nil
}

func unsupportedMask(why string) error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonUnsupportedUpdateMask,
		"update_mask: "+why, rpcerror.Field("update_mask", why))
}
