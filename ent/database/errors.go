package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
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

	codeReadOnly           = "25006" // a standby: the primary is another server now
	codeNoDatabase         = "3D000"
	codeSerialization      = "40001"
	codeCompletionUnknown  = "40003"
	codeDeadlock           = "40P01"
	codePrivilege          = "42501"
	codeDiskFull           = "53100"
	codeTooManyConnections = "53300"
	codeLockNotAvailable   = "55P03"
	codeQueryCanceled      = "57014"
	codeStarting           = "57P03" // or stopping, or recovering
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

// ErrOutcomeUnknown says that the connection was lost while a transaction was
// being committed: it may have been, or not. It must not simply be run again;
// who can tell from the data whether it was, may.
var ErrOutcomeUnknown = errors.New("the database did not say whether it has committed the transaction")

// IsOutcomeUnknown says whether err leaves open if what was asked for is done.
func IsOutcomeUnknown(err error) bool { return errors.Is(err, ErrOutcomeUnknown) }

// IsUnavailable says whether err is about the database and not about what was
// asked of it: it is away, restarting, out of connections or of disk, can be
// read only, or a lock, a connection or the end of a statement was not to be had
// in time. The same may succeed later; whether it was done already,
// IsOutcomeUnknown says. A statement that the server stopped is among them whoever
// had it stopped: see first whether the caller has left. Whether a unique or foreign key is violated, ent's own
// IsConstraintError says, for both dialects; whether the caller's deadline has
// passed, its context does.
func IsUnavailable(err error) bool {
	var (
		refusal    *pgconn.PgError
		connecting *pgconn.ConnectError
		network    net.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &connecting), IsOutcomeUnknown(err), errors.Is(err, ErrOverloaded):
		// Before deadlines, because an attempt to connect has one of its own.
		return true
	case errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &refusal):
		return isUnavailable(refusal) || isConflict(err)
	case isLost(err), errors.As(err, &network):
		return true
	}
	return slices.ContainsFunc([]int{
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
	}, func(code int) bool { return isSQLite(err, code) })
}

func isUnavailable(refusal *pgconn.PgError) bool {
	switch refusal.Code {
	case codeQueryCanceled, codeLockNotAvailable, codeReadOnly:
		return true
	}
	return ends(refusal) || slices.ContainsFunc([]string{classConnection, classResources, classOperator}, func(class string) bool {
		return strings.HasPrefix(refusal.Code, class)
	})
}

// ends says whether the server ended the connection after it said so.
func ends(refusal *pgconn.PgError) bool {
	severity := refusal.SeverityUnlocalized
	return severity == "FATAL" || severity == "PANIC"
}

// isConflict says whether a transaction failed because of another one, in a way
// that leaves nothing behind, so that it can be run again.
func isConflict(err error) bool {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusal.Code == codeSerialization || refusal.Code == codeDeadlock
	}
	return isSQLite(err, sqlite3.SQLITE_BUSY)
}

// isLost says whether a connection that there was is there no more. A server that
// cannot be reached is something else: to try again at once does not help.
func isLost(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // pgx cuts the connection of who does not wait any longer
	}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return ends(refusal) || strings.HasPrefix(refusal.Code, classConnection)
	}
	for _, lost := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, lost) {
			return true
		}
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Op == "read" || operation.Op == "write"
	}
	return pgconn.SafeToRetry(err)
}

// isDecided says whether an error of COMMIT says that nothing was committed. What
// pgconn.SafeToRetry says is not asked: pgx 5.12 calls a connection that ended
// after it had sent COMMIT "conn closed", and that safe.
func isDecided(err error) bool {
	switch {
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, pgx.ErrTxCommitRollback):
		return true // it was not sent, or rolled back
	case err == context.Canceled, err == context.DeadlineExceeded: //nolint:errorlint // wrapped, it came after COMMIT was sent
		return true
	}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		// A server that is told to end may say so after it has committed.
		return !ends(refusal) && !strings.HasPrefix(refusal.Code, classConnection) && refusal.Code != codeCompletionUnknown
	}
	if isSQLite(err, sqlite3.SQLITE_IOERR) {
		return false
	}
	return isSQLiteError(err)
}
