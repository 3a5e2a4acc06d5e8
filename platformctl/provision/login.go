package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ashlar.dev/kernel/config"
)

// errPassword says that an address has no password that the server takes, or is no address.
var errPassword = errors.New("the server does not take the password")

// ConflictError says that what is there already stands in the way.
type ConflictError struct{ Reason string }

// Error implements error.
func (e ConflictError) Error() string { return e.Reason }

// UnreachableError says that the server does not answer.
type UnreachableError struct {
	Reason string
	Err    error
}

// Error implements error.
func (e UnreachableError) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e UnreachableError) Unwrap() error { return e.Err }

// try logs in as a service would. The error is errPassword where another password may help.
func (r *run) try(ctx context.Context, address config.Secret, o Outcome) (err error) {
	if !isAddress(address) {
		return errPassword
	}
	parsed, err := pgx.ParseConfig(address.Reveal())
	if err != nil {
		return errPassword // not wrapped: the error may quote the address
	}
	if parsed.User != o.Role {
		return ConflictError{fmt.Sprintf("%s has the address of %q, not of %s: name another folder, or move the file away", o.File, parsed.User, o.Role)}
	}
	conn, err := pgx.ConnectConfig(ctx, parsed)
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == codePassword {
		return errPassword
	}
	if err != nil {
		return fmt.Errorf("log in as %s with the address in %s: %w", o.Role, o.File, r.explain(err))
	}
	defer func() { err = errors.Join(err, goodbye(ctx, conn)) }()
	var elsewhere bool
	var schema *string
	// Who can have the lock that this run holds is in another database, or on another server.
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared($1, $2), current_schema()", lockClass, lockOne).Scan(&elsewhere, &schema)
	switch {
	case err != nil:
		return r.explain(err)
	case elsewhere:
		return ConflictError{fmt.Sprintf("%s has the address of another database than %s: name another folder, or move the file away", o.File, r.where())}
	case schema == nil || *schema != o.Schema:
		return ConflictError{fmt.Sprintf("with the address in %s, %s does not work in its schema %s: take search_path out of the address, or move the file away", o.File, o.Role, o.Schema)}
	}
	return nil
}

// Error codes of PostgreSQL (its manual, appendix A).
const (
	codePassword   = "28P01"
	codeAuthorize  = "28000"
	codeNoDatabase = "3D000"
	codePrivilege  = "42501"
	codeRaised     = "P0001"
)

// explain says what to do about an error of the server. No text of it holds a password.
func (a *Admin) explain(err error) error {
	refusal, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case refused && refusal.Code == codeRaised:
		return ConflictError{fmt.Sprintf("%s: %s. %s", a.where(), refusal.Message, refusal.Hint)}
	case refused && refusal.Code == codeNoDatabase:
		return fmt.Errorf("there is no %s: make it with CREATE DATABASE, or correct the administrator's address", a.where())
	case refused && refusal.Code == codePassword:
		return fmt.Errorf("%s: the server refuses the user or the password: correct the administrator's address (%s)", a.where(), refusal.Message)
	case refused && refusal.Code == codeAuthorize:
		return fmt.Errorf("%s: the server does not let the user in from this machine: see its pg_hba.conf (%s)", a.where(), refusal.Message)
	case refused && refusal.Code == codePrivilege:
		return fmt.Errorf("%s: the administrator needs the right CREATEROLE, and has to own the database; roles that somebody else has made take a superuser (%s. %s)", a.where(), refusal.Message, refusal.Detail)
	case refused:
		return fmt.Errorf("%s: %w", a.where(), err)
	}
	if connecting, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return UnreachableError{fmt.Sprintf("%s cannot be reached: start the server, or correct the address (%v)", a.where(), connecting), err}
	}
	return fmt.Errorf("%s: %w", a.where(), err)
}
