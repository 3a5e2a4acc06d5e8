package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Error codes of PostgreSQL and their classes (PostgreSQL's manual, appendix A).
const (
	classConnection    = "08"
	classAuthorization = "28"
	classResources     = "53"
	classOperator      = "57" // stopping, starting, connection ended by an operator

	codeReadOnly           = "25006" // of a server that follows another one since
	codeNoDatabase         = "3D000"
	codeSerialization      = "40001"
	codeDeadlock           = "40P01"
	codePrivilege          = "42501"
	codeDiskFull           = "53100"
	codeTooManyConnections = "53300"
	codeLockNotAvailable   = "55P03"
	codeQueryCanceled      = "57014"
)

// Explain adds to an error of the database what whoever runs it can do about it, where that is known: a full disk, a
// missing right. The error stays the same for errors.Is and errors.As. It is for the start of a process, and for commands.
func (d *Database) Explain(err error) error {
	if err == nil || !isOfDatabase(err) {
		return err
	}
	return d.source.explain(err)
}

// isOfDatabase says whether a database has given the error.
func isOfDatabase(err error) bool {
	_, refused := errors.AsType[*pgconn.PgError](err)
	_, unreached := errors.AsType[*pgconn.ConnectError](err)
	_, lite := errors.AsType[*sqlite.Error](err)
	return refused || unreached || lite
}

// IsUnavailable says whether err is about the database and not about what was
// asked of it: it is away, restarting, out of connections or of disk, can be
// read only, or its lock was not to be had in time. The same may succeed later. Whether a unique or foreign
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
		}) && refusal.Code != codeQueryCanceled || refusal.Code == codeLockNotAvailable || refusal.Code == codeReadOnly || isConflict(err)
	case errors.As(err, &connecting), errors.Is(err, driver.ErrBadConn), errors.As(err, &network):
		return true
	}
	return slices.ContainsFunc([]int{
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
	}, func(code int) bool { return isSQLite(err, code) })
}

// isConflict says whether a transaction failed because of another one, in a way
// that leaves nothing behind, so that it can be run again.
func isConflict(err error) bool {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusal.Code == codeSerialization || refusal.Code == codeDeadlock
	}
	return isSQLite(err, sqlite3.SQLITE_BUSY)
}
