package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"entgo.io/ent/dialect"
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"

	"ashlar.dev/ent/database"
)

// Table is where the applied versions are recorded. It is goose's, and has two
// columns more: the checksum of the file that was applied, and what programs
// without the file need to work with the schema (see file.needs). Where a program
// from before these columns applied a migration, both are NULL.
const Table = "schema_migrations"

// row is a migration that was applied.
type row struct {
	version  int64
	checksum sql.NullString
	needs    sql.NullInt64
}

// recorder keeps goose's table. goose inserts in the transaction of the
// migration.
type recorder struct {
	goosedb.Store

	files map[int64]file
}

func newRecorder(gooseDialect goose.Dialect) (*recorder, error) {
	store, err := goosedb.NewStore(gooseDialect, Table)
	return &recorder{Store: store, files: map[int64]file{}}, err
}

// Insert implements goosedb.Store. It writes version 0, with which goose begins,
// without the rest.
func (r *recorder) Insert(ctx context.Context, db goosedb.DBTxConn, request goosedb.InsertRequest) error {
	if err := r.Store.Insert(ctx, db, request); err != nil || request.Version == 0 {
		return err
	}
	return r.describe(ctx, db, request.Version)
}

// describe completes the row of a version.
func (r *recorder) describe(ctx context.Context, db goosedb.DBTxConn, version int64) error {
	f := r.files[version]
	_, err := db.ExecContext(ctx, "UPDATE "+Table+" SET checksum = $1, needs = $2 WHERE version_id = $3", f.checksum, f.needs, version)
	return err
}

// prepare makes the table, or adds what one of an earlier release lacks. Whoever
// calls it holds the lock.
func (r *recorder) prepare(ctx context.Context, db *database.Database, pool *sql.DB) error {
	columns, err := tableColumns(ctx, db, pool)
	if err != nil {
		return err
	}
	if columns["checksum"] && columns["needs"] {
		return nil
	}
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if len(columns) == 0 {
		if err := r.CreateVersionTable(ctx, tx); err != nil {
			return err
		}
		if err := r.Insert(ctx, tx, goosedb.InsertRequest{Version: 0}); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"ALTER TABLE " + Table + " ADD COLUMN checksum text NULL",
		"ALTER TABLE " + Table + " ADD COLUMN needs bigint NULL",
		// What holds where a lock does not: of two that apply the same migration,
		// the second one cannot commit.
		"CREATE UNIQUE INDEX " + Table + "_version ON " + Table + " (version_id)",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// readRows returns what was applied; it makes nothing, not even the file.
func readRows(ctx context.Context, db *database.Database, pool *sql.DB) (_ []row, err error) {
	if file := db.File(); file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) { // it cannot be opened
			return nil, nil
		}
	}
	columns, err := tableColumns(ctx, db, pool)
	if err != nil || len(columns) == 0 {
		return nil, err
	}
	query := "SELECT version_id, NULL, NULL FROM " + Table + " WHERE version_id > 0"
	if columns["checksum"] && columns["needs"] {
		query = "SELECT version_id, checksum, needs FROM " + Table + " WHERE version_id > 0"
	}
	found, err := pool.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	var rows []row
	for found.Next() {
		var r row
		if err := found.Scan(&r.version, &r.checksum, &r.needs); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// tableColumns returns the names of the table's columns: none where nothing was
// ever applied.
func tableColumns(ctx context.Context, db *database.Database, pool *sql.DB) (_ map[string]bool, err error) {
	query := "SELECT name FROM pragma_table_info('" + Table + "')"
	if db.Dialect == dialect.Postgres {
		query = "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '" + Table + "'"
	}
	found, err := pool.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	columns := map[string]bool{}
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			return nil, err
		}
		columns[name] = true
	}
	return columns, found.Err()
}

// standing is how a database stands to the files of a binary.
type standing struct {
	current, target int64
	pending         []file
	// incomplete are rows from before the record was kept, of files that the
	// binary has.
	incomplete []int64
	// ahead are migrations that the binary does not have and can work with.
	ahead []int64
}

// compare finds out how the rows stand to the files. The error is [ErrForeign],
// [ErrNewer] or [ErrEdited]; with the last two the standing holds nevertheless, as
// far as it goes.
func compare(db *database.Database, rows []row, files []file) (standing, error) {
	s := standing{target: files[len(files)-1].version}
	known := map[int64]file{}
	for _, f := range files {
		known[f.version] = f
	}
	applied := map[int64]bool{}
	var first int64
	var refusal error
	for _, r := range rows {
		applied[r.version] = true
		s.current = max(s.current, r.version)
		if first == 0 || r.version < first {
			first = r.version
		}
	}
	// All releases of a service have its first migration, and no two services have the same.
	if _, has := known[first]; first != 0 && !has {
		return s, fmt.Errorf("%w: the first migration of %s is %d, and this program has none of that version: each service needs a file or a schema of its own: correct ASHLAR_DATABASE_URL (or the file that ASHLAR_DATABASE_URL_FILE names)", ErrForeign, db, first)
	}
	for _, r := range rows {
		f, has := known[r.version]
		switch {
		case has && !r.checksum.Valid:
			s.incomplete = append(s.incomplete, r.version)
		case has && r.checksum.String != f.checksum:
			refusal = fmt.Errorf("%w: %s is not what was applied to %s: undo the edit, and put the change into a migration of its own", ErrEdited, f.name, db)
		case has:
		case !r.needs.Valid && r.version > s.target:
			refusal = fmt.Errorf("%w: %s is at version %d and this program knows none after %d: start the release that made that version, or a later one", ErrNewer, db, s.current, s.target)
		case r.needs.Int64 != 0 && known[r.needs.Int64].version == 0:
			refusal = fmt.Errorf("%w: %s is at version %d and this program knows none after %d; the migration %d has removed what programs without the migration %d use: start the release that made that version, or a later one",
				ErrNewer, db, s.current, s.target, r.version, r.needs.Int64)
		default:
			s.ahead = append(s.ahead, r.version)
		}
	}
	for _, f := range files {
		if !applied[f.version] {
			s.pending = append(s.pending, f)
		}
	}
	return s, refusal
}
