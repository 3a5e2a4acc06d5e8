// Package api answers the RPCs of notes. It turns messages into calls of the store, and what the store says into errors
// for callers.
package api

import (
	"errors"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/notes/internal/store"
)

// Reasons that notes gives beside those of the platform.
const (
	reasonNoteNotFound       = "NOTE_NOT_FOUND"
	reasonNoteNotYours       = store.ReasonNotYours
	reasonNoteChanged        = "NOTE_CHANGED"
	reasonTooManyShares      = "TOO_MANY_SHARES"
	reasonUserNotFound       = "USER_NOT_FOUND"
	reasonAccessChanged      = "ACCESS_CHANGED"
	reasonResumeTokenExpired = "RESUME_TOKEN_EXPIRED" //nolint:gosec // the name of a reason, no token
	reasonInvalidResumeToken = "INVALID_RESUME_TOKEN"
)

// answer is the one place that maps what the store says to what callers see.
func answer(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return rpcerror.New(connect.CodeNotFound, reasonNoteNotFound, "no such note", rpcerror.Cause(err))
	case errors.Is(err, store.ErrNotYours):
		return rpcerror.New(connect.CodePermissionDenied, reasonNoteNotYours,
			"the note is only shared with you: its owner can do this", rpcerror.Cause(err))
	case errors.Is(err, store.ErrChanged):
		return rpcerror.New(connect.CodeAborted, reasonNoteChanged,
			"somebody else has changed the note: get it and try again", rpcerror.Cause(err))
	case errors.Is(err, store.ErrTooManyShares):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonTooManyShares,
			"the note is shared with as many people as it can be: unshare it with somebody first", rpcerror.Cause(err))
	default:
		return err
	}
}
