package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"entgo.io/ent/dialect"
	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"ashlar.dev/ent/database"
)

// Table is where the applied versions are recorded.
const Table = "schema_migrations"

// lockRetry is how long migrations that cannot get a lock on a table in use are
// tried again.
const lockRetry = time.Minute

var (
	// ErrNewer says that the database has migrations that this binary does not
	// know: a later release has been here.
	ErrNewer = errors.New("the schema of the database is newer than this program")
	// ErrPending says that the database lacks migrations of this binary.
	ErrPending = errors.New("the schema of the database is older than this program")
)

// Apply applies the migrations that db lacks. It takes a lock that the other
// instances of the service respect, so that they wait and then find nothing
// left to do; the lock ends with the process or its connection, so that a crash
// leaves none. Each migration runs in a transaction and is recorded in it: a
// crash leaves the database after one migration and before the next.
//
// The error is [ErrNewer] where db is ahead of the binary; nothing is changed
// then.
func Apply(ctx context.Context, db *database.Database, migrations fs.FS, log *slog.Logger) error {
	return with(ctx, db, migrations, func(pool *sql.DB, provider *goose.Provider) error {
		if _, err := compare(ctx, db, pool, provider); err != nil {
			return err
		}
		applied, err := up(ctx, provider)
		for _, result := range applied {
			log.InfoContext(ctx, "applied a migration", "migration", result.Source.Path, "duration", result.Duration)
		}
		if err != nil {
			return fmt.Errorf("migrate %s: %w", db, err)
		}
		if len(applied) > 0 && db.Dialect == dialect.SQLite {
			if err := checkForeignKeys(ctx, pool); err != nil {
				return fmt.Errorf("migrate %s: %w", db, err)
			}
		}
		// An instance of a later release may have had the lock before us; it has
		// then left nothing for us to apply.
		_, err = compare(ctx, db, pool, provider)
		return err
	})
}

// Verify says whether db has exactly the migrations of the binary, for those
// who apply them apart: the error is [ErrPending] or [ErrNewer]. It changes
// nothing.
func Verify(ctx context.Context, db *database.Database, migrations fs.FS) error {
	return with(ctx, db, migrations, func(pool *sql.DB, provider *goose.Provider) error {
		current, err := compare(ctx, db, pool, provider)
		if err != nil {
			return err
		}
		pending := current == 0
		if !pending {
			if pending, err = provider.HasPending(ctx); err != nil {
				return fmt.Errorf("read the migrations of %s: %w", db, err)
			}
		}
		if pending {
			return fmt.Errorf("%w: %s is at version %d and this program needs %d: apply the migrations, or start the program so that it does", ErrPending, db, current, target(provider))
		}
		return nil
	})
}

// with opens db for a migration.
func with(ctx context.Context, db *database.Database, migrations fs.FS, use func(*sql.DB, *goose.Provider) error) (err error) {
	folder, gooseDialect := "sqlite", goose.DialectSQLite3
	if db.Dialect == dialect.Postgres {
		folder, gooseDialect = "postgres", goose.DialectPostgres
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return fmt.Errorf("migrations for %s: %w", folder, err)
	}
	pool, giveBack, err := db.OpenForMigration(ctx)
	if err != nil {
		return fmt.Errorf("open %s for a migration: %w", db, err)
	}
	defer func() { err = errors.Join(err, giveBack()) }()
	options := []goose.ProviderOption{
		goose.WithTableName(Table),
		// Two branches of work may each have brought a migration.
		goose.WithAllowOutofOrder(true),
		goose.WithDisableGlobalRegistry(true),
	}
	if db.Dialect == dialect.Postgres {
		options = append(options, goose.WithSessionLocker(advisoryLock{}))
	} else if file := db.File(); file != "" {
		options = append(options, goose.WithLocker(&fileLock{path: file + ".migrate.lock"}))
	}
	provider, err := goose.NewProvider(gooseDialect, pool, files, options...)
	if errors.Is(err, goose.ErrNoMigrations) {
		return fmt.Errorf("there are no migrations in the folder %s that is embedded in this program: run ashlar-ent diff and build again", folder)
	}
	if err != nil {
		return fmt.Errorf("read the migrations for %s: %w", folder, err)
	}
	return use(pool, provider)
}

// up applies what is pending, and again while a lock on a table is not to be had.
func up(ctx context.Context, provider *goose.Provider) ([]*goose.MigrationResult, error) {
	var applied []*goose.MigrationResult
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		results, err := provider.Up(ctx)
		applied = append(applied, results...)
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			applied = append(applied, partial.Applied...)
			err = fmt.Errorf("the migration %s fails, and nothing of it was kept: %w", partial.Failed.Source.Path, partial.Err)
		}
		if err != nil && !isLocked(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(lockRetry))
	return applied, err
}

// isLocked says whether a statement did not get its lock within lock_timeout.
func isLocked(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == "55P03"
}

// compare returns the version of the database, 0 where it has none, and
// [ErrNewer] where the binary does not know that version.
func compare(ctx context.Context, db *database.Database, pool *sql.DB, provider *goose.Provider) (int64, error) {
	var current int64
	recorded, err := hasTable(ctx, db, pool)
	if err == nil && recorded {
		err = pool.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+Table).Scan(&current)
	}
	if err != nil {
		return 0, fmt.Errorf("read the migrations of %s: %w", db, err)
	}
	if known := target(provider); current > known {
		return current, fmt.Errorf("%w: %s is at version %d and this program knows none after %d: start the release that made that version, or a later one", ErrNewer, db, current, known)
	}
	return current, nil
}

// hasTable tells whether anything was ever applied to db. goose would make the
// table to answer this, and instances that start at once would be in each
// other's way.
func hasTable(ctx context.Context, db *database.Database, pool *sql.DB) (bool, error) {
	exists := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '" + Table + "'"
	if db.Dialect == dialect.Postgres {
		exists = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = '" + Table + "'"
	}
	var tables int
	err := pool.QueryRowContext(ctx, exists).Scan(&tables)
	return tables > 0, err
}

// target is the newest version that the binary has.
func target(provider *goose.Provider) int64 {
	sources := provider.ListSources()
	return sources[len(sources)-1].Version
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
