// Package api answers auth's RPCs. It turns messages into what the other packages do, and what they say into errors for
// callers.
package api

import (
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/auth/internal/account"
	"ashlar.dev/services/auth/internal/password"
	"ashlar.dev/services/auth/internal/store"
)

// Reasons that auth gives beside those of the platform.
const (
	reasonEmailTaken          = "EMAIL_TAKEN"
	reasonInvalidCredentials  = "INVALID_CREDENTIALS" //nolint:gosec // a reason, no secret
	reasonAccountDeactivated  = "ACCOUNT_DEACTIVATED"
	reasonRefreshTokenInvalid = "REFRESH_TOKEN_INVALID"
	reasonRefreshTokenReused  = "REFRESH_TOKEN_REUSED" //nolint:gosec // a reason, no secret
	reasonSessionNotFound     = "SESSION_NOT_FOUND"
	reasonSessionExpired      = "SESSION_EXPIRED"
	reasonSessionRevoked      = "SESSION_REVOKED"
	reasonAPIKeyInvalid       = "API_KEY_INVALID"   //nolint:gosec // a reason, no secret
	reasonAPIKeyNotFound      = "API_KEY_NOT_FOUND" //nolint:gosec // a reason, no secret
	reasonTooManyAPIKeys      = "TOO_MANY_API_KEYS" //nolint:gosec // a reason, no secret
)

// What the handlers find out themselves.
var (
	errInvalidCredentials = errors.New("the email address or the password is wrong")
	errDeactivated        = errors.New("the account is deactivated")
)

// retryAfter is when who was turned away may come again.
const retryAfter = time.Second

// answer is the one place that maps what the other packages say to what callers see. notFound is the reason where the
// thing that the RPC is about does not exist.
func answer(err error, notFound string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errInvalidCredentials):
		return rpcerror.New(connect.CodeUnauthenticated, reasonInvalidCredentials, "the email address or the password is wrong")
	case errors.Is(err, errDeactivated):
		return rpcerror.New(connect.CodeUnauthenticated, reasonAccountDeactivated, "the account is deactivated")
	case errors.Is(err, account.ErrEmailTaken):
		return rpcerror.New(connect.CodeAlreadyExists, reasonEmailTaken, "the email address belongs to somebody", rpcerror.Cause(err))
	case errors.Is(err, store.ErrTokenReused):
		return rpcerror.New(connect.CodeUnauthenticated, reasonRefreshTokenReused,
			"the refresh token was used before, so its session was ended: sign in again")
	case errors.Is(err, store.ErrSessionExpired):
		return rpcerror.New(connect.CodeUnauthenticated, reasonSessionExpired, "the session has expired: sign in again")
	case errors.Is(err, store.ErrSessionRevoked):
		return rpcerror.New(connect.CodeUnauthenticated, reasonSessionRevoked, "the session was ended: sign in again")
	case errors.Is(err, store.ErrNotFound) && notFound == reasonSessionNotFound:
		return rpcerror.New(connect.CodeNotFound, notFound, "no such session of yours", rpcerror.Cause(err))
	case errors.Is(err, store.ErrNotFound) && notFound == reasonRefreshTokenInvalid:
		return rpcerror.New(connect.CodeUnauthenticated, notFound, "the refresh token is not valid: sign in again", rpcerror.Cause(err))
	case errors.Is(err, store.ErrNotFound) && notFound == reasonAPIKeyNotFound:
		return rpcerror.New(connect.CodeNotFound, notFound, "no such API key of yours", rpcerror.Cause(err))
	case errors.Is(err, store.ErrNotFound) && notFound == reasonAPIKeyInvalid:
		return rpcerror.New(connect.CodeUnauthenticated, notFound, "the API key is not valid", rpcerror.Cause(err))
	case errors.Is(err, store.ErrTooManyAPIKeys):
		return rpcerror.New(connect.CodeResourceExhausted, reasonTooManyAPIKeys,
			fmt.Sprintf("more than %d API keys: revoke one first", store.MaxAPIKeys))
	case errors.Is(err, store.ErrNotFound):
		return rpcerror.New(connect.CodeUnauthenticated, reasonSessionRevoked, "the session was ended: sign in again", rpcerror.Cause(err))
	case errors.Is(err, password.ErrOverloaded):
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonOverloaded,
			"too many people are signing in at the moment: try again", rpcerror.RetryAfter(retryAfter), rpcerror.Cause(err))
	case connect.CodeOf(err) == connect.CodeInvalidArgument:
		// What identity does not take is the caller's own.
		return rpcerror.Forward(err)
	default:
		return err
	}
}

func notAnOrganization() error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, "organization_id is not the id of an organization",
		rpcerror.Field("organization_id", "must have the form org_…"))
}
