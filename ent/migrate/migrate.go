package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"github.com/cenkalti/backoff/v5"
	"github.com/pressly/goose/v3"

	"ashlar.dev/ent/database"
)

// lockRetry is how long migrations that cannot get a lock on a table in use are
// tried again.
const lockRetry = time.Minute

var (
	// ErrNewer says that a later release has migrated the database to a schema
	// that this binary cannot work with, or may not be able to.
	ErrNewer = errors.New("the schema of the database is newer than this program")
	// ErrPending says that the database lacks migrations of this binary.
	ErrPending = errors.New("the schema of the database is older than this program")
	// ErrEdited says that a migration was changed after it was applied.
	ErrEdited = errors.New("a migration was edited after it was applied")
	// ErrForeign says that another service's migrations have made the database. A
	// service that is given its address would take its versions for its own.
	ErrForeign = errors.New("the database is another service's")
)

// Apply applies the migrations that db lacks. It takes a lock that the other
// instances of the service respect, so that they wait and then find nothing
// left to do; the lock ends with the process or its connection, so that a crash
// leaves none. Each migration runs in a transaction and is recorded in it: a
// crash leaves the database after one migration and before the next.
//
// Where db has migrations that the binary does not know, but can work with, it
// says so in the log. The error is [ErrNewer] where it cannot, [ErrEdited] where a
// file is not the one that was applied, and [ErrForeign] where the database is
// another service's; nothing is changed then.
func Apply(ctx context.Context, db *database.Database, migrations fs.FS, log *slog.Logger) error {
	return with(ctx, db, migrations, func(s *session) error {
		standing, err := s.compare(ctx)
		if err != nil {
			return err
		}
		if len(standing.pending) > 0 || len(standing.incomplete) > 0 {
			if standing, err = s.applyLocked(ctx, log); err != nil {
				return err
			}
		}
		if len(standing.ahead) > 0 {
			log.InfoContext(ctx, "a later release has migrated the database, and this program can work with that",
				"version", standing.current, "known", standing.target, "unknown", standing.ahead)
		}
		return nil
	})
}

// Verify says whether db has all the migrations of the binary, and none that it
// cannot work with, for those who apply them apart: the error is [ErrPending],
// [ErrNewer], [ErrEdited] or [ErrForeign]. It changes nothing.
func Verify(ctx context.Context, db *database.Database, migrations fs.FS) error {
	return with(ctx, db, migrations, func(s *session) error {
		standing, err := s.compare(ctx)
		if err != nil {
			return err
		}
		if len(standing.pending) == 0 {
			return nil
		}
		names := make([]string, len(standing.pending))
		for i, f := range standing.pending {
			names[i] = f.name
		}
		return fmt.Errorf("%w: %s is at version %d and this program needs %d: not applied: %s", ErrPending, db, standing.current, standing.target, strings.Join(names, ", "))
	})
}

// session is one use of a database for its migrations.
type session struct {
	db       *database.Database
	pool     *sql.DB
	provider *goose.Provider
	recorder *recorder
	files    []file
}

// with opens db for a migration.
func with(ctx context.Context, db *database.Database, migrations fs.FS, use func(*session) error) (err error) {
	name, gooseDialect := "sqlite", goose.DialectSQLite3
	if db.Dialect == dialect.Postgres {
		name, gooseDialect = "postgres", goose.DialectPostgres
	}
	folder, err := fs.Sub(migrations, name)
	if err != nil {
		return fmt.Errorf("migrations for %s: %w", name, err)
	}
	pool, giveBack, err := db.OpenForMigration(ctx)
	if err != nil {
		return fmt.Errorf("open %s for a migration: %w", db, err)
	}
	defer func() { err = errors.Join(err, giveBack()) }()
	s := &session{db: db, pool: pool}
	if s.recorder, err = newRecorder(gooseDialect); err != nil {
		return err
	}
	s.provider, err = goose.NewProvider(goose.DialectCustom, pool, folder, goose.WithStore(s.recorder), goose.WithDisableGlobalRegistry(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return fmt.Errorf("there are no migrations in the folder %s that is embedded in this program: run ashlar-ent diff and build again", name)
	}
	if err == nil {
		s.files, err = readFiles(folder, s.provider.ListSources())
	}
	if err != nil {
		return fmt.Errorf("read the migrations for %s: %w", name, err)
	}
	for _, f := range s.files {
		s.recorder.files[f.version] = f
	}
	return use(s)
}

// compare reads what was applied and compares it with the files.
func (s *session) compare(ctx context.Context) (standing, error) {
	rows, err := readRows(ctx, s.db, s.pool)
	if err != nil {
		return standing{}, fmt.Errorf("read the migrations of %s: %w", s.db, err)
	}
	return compare(s.db, rows, s.files)
}

// applyLocked applies what is pending and completes the record, under the lock.
func (s *session) applyLocked(ctx context.Context, log *slog.Logger) (_ standing, err error) {
	held, err := takeLock(ctx, s.db, s.pool)
	if err != nil {
		return standing{}, fmt.Errorf("migrate %s: %w", s.db, err)
	}
	defer func() { err = errors.Join(err, held.release()) }()
	if err := s.recorder.prepare(ctx, s.db, s.pool); err != nil {
		return standing{}, fmt.Errorf("record the migrations of %s: %w", s.db, err)
	}
	// Another instance may have had the lock before, also one of a later release.
	found, err := s.compare(ctx)
	if err != nil {
		return found, err
	}
	for _, version := range found.incomplete {
		if err := s.recorder.describe(ctx, s.pool, version); err != nil {
			return found, fmt.Errorf("record the migrations of %s: %w", s.db, err)
		}
	}
	// Not only those after the newest: two branches of work may each have brought
	// a migration.
	for _, f := range found.pending {
		if err := held.check(ctx); err != nil {
			return found, fmt.Errorf("migrate %s: %w", s.db, err)
		}
		if err := s.applyOne(ctx, f, log); err != nil {
			return found, fmt.Errorf("migrate %s: %w", s.db, err)
		}
	}
	if len(found.pending) > 0 && s.db.Dialect == dialect.SQLite {
		if err := checkForeignKeys(ctx, s.pool); err != nil {
			return found, fmt.Errorf("migrate %s: %w", s.db, err)
		}
	}
	return s.compare(ctx)
}

// applyOne applies a migration, and again while a lock on a table is not to be
// had.
func (s *session) applyOne(ctx context.Context, f file, log *slog.Logger) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		result, err := s.provider.ApplyVersion(ctx, f.version, true)
		switch {
		case err == nil:
			log.InfoContext(ctx, "applied a migration", "migration", f.name, "duration", result.Duration)
		case errors.Is(err, goose.ErrAlreadyApplied): // by an instance that took a lost lock
			err = nil
		case !isLocked(err):
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(lockRetry))
	if err != nil {
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			err = partial.Err
		}
		return fmt.Errorf("the migration %s fails, and nothing of it was kept: %w", f.name, err)
	}
	return nil
}

// checkForeignKeys looks for rows that refer to nothing: a migration of SQLite
// runs without foreign keys.
func checkForeignKeys(ctx context.Context, pool *sql.DB) error {
	var table, parent string
	var row sql.NullInt64
	var key int64
	err := pool.QueryRowContext(ctx, "PRAGMA foreign_key_check").Scan(&table, &row, &parent, &key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check the foreign keys: %w", err)
	}
	return fmt.Errorf("the row %d of the table %s refers to a row of %s that is not there: a migration lost it; restore the file from a backup and correct the migration", row.Int64, table, parent)
}
