// Package api answers authz's RPCs. It turns messages into calls of the store, and what the store says into errors for
// callers.
package api

import (
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/authz/internal/store"
)

// Reasons that authz gives beside those of the platform.
const (
	reasonRoleNotFound      = "ROLE_NOT_FOUND"
	reasonRoleExists        = "ROLE_EXISTS"
	reasonRoleOfModule      = "ROLE_OF_MODULE"
	reasonRoleRemoved       = "ROLE_REMOVED"
	reasonRoleChanged       = "ROLE_CHANGED"
	reasonRoleExceedsCaller = "ROLE_EXCEEDS_CALLER"
	reasonUnknownPermission = "UNKNOWN_PERMISSION"
	reasonRoleInUse         = "ROLE_IN_USE"
	reasonLastOwner         = "LAST_OWNER"
	reasonForeignModule     = "FOREIGN_MODULE"
	reasonInvalidVersion    = "INVALID_VERSION"
)

// answer is the one place that maps what the store says to what callers see.
func answer(err error) error {
	var unknown store.UnknownPermissionError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrRoleNotFound):
		return rpcerror.New(connect.CodeNotFound, reasonRoleNotFound, "no such role", rpcerror.Cause(err))
	case errors.Is(err, store.ErrRoleExists):
		return rpcerror.New(connect.CodeAlreadyExists, reasonRoleExists, "a role of this name exists", rpcerror.Cause(err))
	case errors.Is(err, store.ErrRoleOfModule):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonRoleOfModule,
			"the role belongs to a module, which alone can change it", rpcerror.Cause(err))
	case errors.Is(err, store.ErrRoleRemoved):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonRoleRemoved,
			"the module does not bring this role any more: grant another", rpcerror.Cause(err))
	case errors.Is(err, store.ErrRoleChanged):
		return rpcerror.New(connect.CodeAborted, reasonRoleChanged,
			"somebody else has changed the role: get it and try again", rpcerror.Cause(err))
	case errors.Is(err, store.ErrRoleInUse):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonRoleInUse,
			"more than 1,000 people hold the role: revoke it from some first", rpcerror.Cause(err))
	case errors.Is(err, store.ErrLastHolder):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonLastOwner,
			"nobody else owns the organization: make somebody else its owner first", rpcerror.Cause(err))
	case errors.As(err, &unknown):
		return unknownPermission(string(unknown))
	default:
		return err
	}
}

func unknownPermission(permission string) error {
	return rpcerror.New(connect.CodeInvalidArgument, reasonUnknownPermission, fmt.Sprintf("no module declares %q", permission),
		rpcerror.Meta("permission", permission), rpcerror.Field("permissions", "no such permission"))
}
