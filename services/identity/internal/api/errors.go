// Package api answers identity's RPCs. It turns messages into calls of the store, and what the store says into errors
// for callers.
package api

import (
	"errors"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/identity/internal/store"
)

// Reasons that identity gives beside those of the platform.
const (
	reasonEmailTaken              = "EMAIL_TAKEN"
	reasonUserNotFound            = "USER_NOT_FOUND"
	reasonOrganizationNotFound    = "ORGANIZATION_NOT_FOUND"
	reasonOrganizationDeactivated = "ORGANIZATION_DEACTIVATED"
	reasonUserChanged             = "USER_CHANGED"
	reasonOrganizationChanged     = "ORGANIZATION_CHANGED"
)

// Reasons that authz gives and identity hands on.
const (
	reasonRoleExceedsCaller = "ROLE_EXCEEDS_CALLER"
	reasonLastOwner         = "LAST_OWNER"
)

// answer is the one place that maps what the store says to what callers see. notFound is the reason where the thing
// that the RPC is about does not exist.
func answer(err error, notFound string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrEmailTaken):
		return rpcerror.New(connect.CodeAlreadyExists, reasonEmailTaken, "the email address belongs to somebody", rpcerror.Cause(err))
	case errors.Is(err, store.ErrUserNotFound):
		return rpcerror.New(connect.CodeNotFound, reasonUserNotFound, "no such user", rpcerror.Cause(err))
	case errors.Is(err, store.ErrOrganizationDeactivated):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonOrganizationDeactivated,
			"the organization is deactivated: reactivate it first", rpcerror.Cause(err))
	case errors.Is(err, store.ErrChanged) && notFound == reasonOrganizationNotFound:
		return rpcerror.New(connect.CodeAborted, reasonOrganizationChanged,
			"somebody else has changed the organization: get it and try again", rpcerror.Cause(err))
	case errors.Is(err, store.ErrChanged):
		return rpcerror.New(connect.CodeAborted, reasonUserChanged,
			"somebody else has changed the user: get it and try again", rpcerror.Cause(err))
	case errors.Is(err, store.ErrNotFound) && notFound == reasonOrganizationNotFound:
		return rpcerror.New(connect.CodeNotFound, notFound, "no such organization", rpcerror.Cause(err))
	case errors.Is(err, store.ErrNotFound):
		return rpcerror.New(connect.CodeNotFound, notFound, "no such user", rpcerror.Cause(err))
	default:
		return err
	}
}

// requestKey makes a client's request_id unique to the client; empty where the client gave none.
func requestKey(caller, requestID string) string {
	if requestID == "" {
		return ""
	}
	return caller + ":" + requestID
}
