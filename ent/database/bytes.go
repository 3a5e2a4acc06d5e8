package database

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"entgo.io/ent/dialect"
)

// Bytes is how much the database takes: the file with its write-ahead log, or
// all tables of the current schema with their indexes. A file that is not there
// takes nothing.
func (d *Database) Bytes(ctx context.Context) (int64, error) {
	var n int64
	if d.Dialect == dialect.Postgres {
		err := d.DB.QueryRowContext(ctx, `SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::bigint
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'm')`).Scan(&n)
		return n, err
	}
	file := d.File()
	if file == "" {
		err := d.DB.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&n)
		return n, err
	}
	for _, path := range []string{file, file + "-wal"} {
		info, err := os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if err == nil {
			n += info.Size()
		}
	}
	return n, nil
}
