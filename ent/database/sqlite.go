package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// sqliteConnections is how many may read at once; there is one writer.
	sqliteConnections = 8
	// sqliteBusyTimeout is how long a statement waits for another process's
	// write lock before it fails, and a transaction for its turn among those of this
	// one, unless the address has busy_timeout.
	sqliteBusyTimeout = waitAtMost
	inMemory          = ":memory:"
)

// sqliteFile is a database in a file.
type sqliteFile struct {
	path string
	busy time.Duration // how long is waited for others who write
}

func (f sqliteFile) memory() bool { return f.path == inMemory }

func parseSQLite(u *url.URL) (sqliteFile, error) {
	const forms = "write sqlite:///absolute/path/to/file.db, or sqlite:relative/path/to/file.db"
	path := u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return sqliteFile{}, fmt.Errorf("the path of the SQLite file is not escaped as in a URL: %s", forms)
		}
	}
	switch {
	case u.Host != "" || u.User != nil:
		return sqliteFile{}, fmt.Errorf("sqlite://%s…: what follows two slashes would be a host, and SQLite has none: %s", u.Host, forms)
	case u.Fragment != "":
		return sqliteFile{}, fmt.Errorf("the address of a SQLite file has no fragment: %s", forms)
	case path == "":
		return sqliteFile{}, fmt.Errorf("the address of the SQLite file has no path: %s", forms)
	}
	busy, err := busyTimeout(u.RawQuery)
	if err != nil || path == inMemory {
		return sqliteFile{path, busy}, err
	}
	path, err = filepath.Abs(filepath.FromSlash(path))
	return sqliteFile{path, busy}, err
}

// busyTimeout is the one parameter that an address can have, in milliseconds as in SQLite's pragma of that name.
func busyTimeout(parameters string) (time.Duration, error) {
	const name = "busy_timeout"
	query, err := url.ParseQuery(parameters)
	text := query.Get(name)
	query.Del(name)
	if err != nil || len(query) > 0 {
		return 0, errors.New("the address of a SQLite file takes no parameters but " + name)
	}
	if text == "" {
		return sqliteBusyTimeout, nil
	}
	// As SQLite has it: no more than fits into 32 bits.
	milliseconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil || milliseconds < 1 {
		return 0, fmt.Errorf("%s=%q in the address of the database: write a number of milliseconds, like %d", name, text, sqliteBusyTimeout.Milliseconds())
	}
	return time.Duration(milliseconds) * time.Millisecond, nil
}

// create makes the file, readable for its owner only, before SQLite would make
// it readable for all. SQLite gives its other files the same permissions.
func (f sqliteFile) create() error {
	if f.memory() {
		return nil
	}
	folder := filepath.Dir(f.path)
	// One level: a whole path that is missing is more likely a mistake.
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		if errors.Is(err, fs.ErrNotExist) {
			return f.failure(err, "the folder %s is missing: create it, or %s", filepath.Dir(folder), mend)
		}
		return f.failure(err, "its folder cannot be made: let the user of this process write %s, or %s", filepath.Dir(folder), mend)
	}
	info, err := os.Stat(f.path)
	switch {
	case err == nil && info.IsDir():
		return f.failure(nil, "it is a folder: name a file in it, or %s", mend)
	case err == nil && !info.Mode().IsRegular():
		return f.failure(nil, "it is not a regular file: %s", mend)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return f.failure(err, "its folder cannot be read: let the user of this process read and write %s, or %s", folder, mend)
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return f.failure(err, "it cannot be opened for writing: let the user of this process write the file and its folder %s, or %s", folder, mend)
	}
	return file.Close()
}

func (f sqliteFile) open(observer *observer) *sql.DB {
	db := f.pool(true, observer)
	if f.memory() {
		// Each connection would see a database of its own.
		db.SetMaxOpenConns(1)
		return db
	}
	db.SetMaxOpenConns(sqliteConnections)
	// A connection costs memory only, and opening one the parsing of the schema.
	db.SetMaxIdleConns(sqliteConnections)
	return db
}

func (f sqliteFile) openForMigration() *sql.DB {
	if f.memory() {
		return nil
	}
	db := f.pool(false, nil)
	db.SetMaxOpenConns(1)
	return db
}

func (f sqliteFile) openBeside() *sql.DB {
	if f.memory() {
		return nil
	}
	db := f.pool(true, nil)
	db.SetMaxOpenConns(1)
	return db
}

// look reads the file, and sees whether it is still where it was: what is written
// to a file that was taken away is lost with the process. A full disk shows only
// in writing.
func (f sqliteFile) look(ctx context.Context, db *sql.DB) error {
	if !f.memory() {
		if _, err := os.Stat(f.path); err != nil {
			return f.failure(err, "the file is not there any more: stop this process, and restore it from a backup")
		}
	}
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return f.explain(err)
	}
	return nil
}

// pool opens the file with the settings that every connection needs.
func (f sqliteFile) pool(foreignKeys bool, observer *observer) *sql.DB {
	settings := url.Values{
		"_busy_timeout": {fmt.Sprint(f.busy.Milliseconds())},
		"_journal_mode": {"WAL"},
		// In WAL mode NORMAL syncs at checkpoints only: a power cut loses the last
		// transactions, though their callers were told that they are written.
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"off"},
		// Begin with the write lock. A transaction that reads first and then wants
		// to write fails at once, without waiting, when another has written.
		"_txlock": {"immediate"},
		// Text that sorts as the times do, and times that read back as UTC.
		"_time_format": {"sqlite"},
		"_timezone":    {"UTC"},
	}
	if !f.memory() {
		// create makes the file. One that was taken away must not come back empty with the next connection.
		settings.Set("mode", "rw")
	}
	if foreignKeys {
		settings.Set("_foreign_keys", "on")
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(f.path), RawQuery: settings.Encode()}
	if f.memory() {
		name.Path, name.Opaque = "", inMemory
	}
	connector, err := sqlite.NewConnector(name.String())
	if err != nil {
		// It fails where the settings cannot be parsed, and they are ours.
		panic(err)
	}
	if observer.perStatement() {
		connector = observed{connector, observer}
	}
	return sql.OpenDB(connector)
}

// probe writes the file's header as it is: reading would not show a full disk
// or a read-only folder.
func (f sqliteFile) probe(ctx context.Context, db *sql.DB) error {
	if err := f.create(); err != nil {
		return err
	}
	// When several processes make the file at once, the change to WAL mode fails
	// for some without waiting.
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := rewriteHeader(ctx, db)
		if err != nil && !isSQLite(err, sqlite3.SQLITE_BUSY) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 5 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 200 * time.Millisecond,
	}), backoff.WithMaxElapsedTime(2*f.busy))
	if err == nil {
		return nil
	}
	return f.explain(err)
}

func (f sqliteFile) explain(err error) error {
	switch {
	case isSQLite(err, sqlite3.SQLITE_NOTADB), isSQLite(err, sqlite3.SQLITE_CORRUPT):
		return f.failure(err, "it is not a SQLite database, or a damaged one: name another file, or restore it from a backup")
	case isSQLite(err, sqlite3.SQLITE_READONLY), isSQLite(err, sqlite3.SQLITE_CANTOPEN), isSQLite(err, sqlite3.SQLITE_PERM):
		return f.failure(err, "it cannot be written: let the user of this process write the file, the files -wal and -shm beside it, and the folder %s", filepath.Dir(f.path))
	case isFull(err):
		return f.failure(err, "the disk is full: free some space")
	case isSQLite(err, sqlite3.SQLITE_BUSY):
		return f.failure(err, "another process has held its write lock for %s: stop that process", 2*f.busy)
	case isSQLite(err, sqlite3.SQLITE_IOERR):
		return f.failure(err, "its disk fails, or is full: look at the system's log, and free some space")
	}
	return f.failure(err, "it cannot be read and written: %s", mend)
}

func rewriteHeader(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var version int64
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// failure says what, where, and how to mend it.
func (f sqliteFile) failure(err error, format string, args ...any) error {
	message := fmt.Sprintf("open the SQLite database %s: %s", f.path, fmt.Sprintf(format, args...))
	if err == nil {
		return errors.New(message)
	}
	return fmt.Errorf("%s (%w)", message, err)
}

// isSQLite says whether err is of SQLite and has the primary result code.
func isSQLite(err error, code int) bool {
	failure, ok := errors.AsType[*sqlite.Error](err)
	// The low byte of an extended code is the primary one.
	return ok && failure.Code()&0xff == code
}

// isSQLiteError says whether err is of SQLite.
func isSQLiteError(err error) bool {
	_, ok := errors.AsType[*sqlite.Error](err)
	return ok
}
