package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

// Error codes of PostgreSQL and their classes (PostgreSQL's manual, appendix A).
const (
	classConnection    = "08"
	classAuthorization = "28"
	classResources     = "53"
	classOperator      = "57" // stopping, starting, connection ended by an operator

	codeNoDatabase         = "3D000"
	codeSerialization      = "40001"
	codeDeadlock           = "40P01"
	codeTooManyConnections = "53300"
	codeLockNotAvailable   = "55P03"
	codeQueryCanceled      = "57014"
)

// IsUnavailable says whether err is about the database and not about what was
// asked of it: it is away, restarting, out of connections, or its lock was not
// to be had in time. The same may succeed later. Whether a unique or foreign
// key is violated, ent's own IsConstraintError says, for both dialects; whether
// the caller's deadline has passed, its context does.
func IsUnavailable(err error) bool {
	var (
		refusal    *pgconn.PgError
		connecting *pgconn.ConnectError
		network    net.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &refusal):
		return slices.ContainsFunc([]string{classConnection, classResources, classOperator}, func(class string) bool {
			return strings.HasPrefix(refusal.Code, class)
		}) && refusal.Code != codeQueryCanceled || refusal.Code == codeLockNotAvailable || isConflict(err)
	case errors.As(err, &connecting), errors.Is(err, driver.ErrBadConn), errors.As(err, &network):
		return true
	}
	return isSQLite(err, sqlite3.SQLITE_BUSY) || isSQLite(err, sqlite3.SQLITE_FULL) || isSQLite(err, sqlite3.SQLITE_IOERR)
}

// isConflict says whether a transaction failed because of another one, in a way
// that leaves nothing behind, so that it can be run again.
func isConflict(err error) bool {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusal.Code == codeSerialization || refusal.Code == codeDeadlock
	}
	return isSQLite(err, sqlite3.SQLITE_BUSY)
}
