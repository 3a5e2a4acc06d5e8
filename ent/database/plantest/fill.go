package plantest

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"ashlar.dev/ent/database"
)

// SQL writes expressions in a dialect, for statements that make rows from
// numbers. A number that is to sort as text is written as First + i.
type SQL struct {
	Dialect string
	// Rows is how many large tables get.
	Rows int
}

// First is added to numbers, so that all have ten digits.
const First = 1_000_000_000

// Series is a table of the numbers from 1 to n, in the column i.
func (s SQL) Series(n int) string {
	if s.Dialect == dialect.Postgres {
		return fmt.Sprintf("generate_series(1, %d) AS series (i)", n)
	}
	return fmt.Sprintf("(WITH RECURSIVE series (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < %d) SELECT i FROM series) AS series", n)
}

// At is a time, so many seconds after the beginning of 2026.
func (s SQL) At(seconds string) string {
	if s.Dialect == dialect.Postgres {
		return "(timestamptz '2026-01-01 00:00:00+00' + (" + seconds + ") * interval '1 second')"
	}
	return "(datetime('2026-01-01', (" + seconds + ") || ' seconds') || '+00:00')"
}

// Moment is what At writes for a number.
func Moment(seconds int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC)
}

// Bytes is text as bytes.
func (s SQL) Bytes(text string) string {
	if s.Dialect == dialect.Postgres {
		return "convert_to(" + text + ", 'UTF8')"
	}
	return "CAST(" + text + " AS BLOB)"
}

// Text is a number with ten digits after a prefix.
func (SQL) Text(prefix, number string) string {
	return fmt.Sprintf("('%s' || (%d + %s))", prefix, First, number)
}

// Big is the name, after its prefix, of the one that has half of all rows.
const Big = "big"

// Spread gives half of the rows to one owner, prefix_big, and spreads the other
// half over n others.
func (s SQL) Spread(prefix string, n int) string {
	return fmt.Sprintf("(CASE WHEN i %% 2 = 0 THEN '%s%s' ELSE %s END)", prefix, Big, s.Text(prefix, fmt.Sprintf("(i / 2) %% %d", n)))
}

// Name is what Text writes for a number.
func Name(prefix string, number int) string { return fmt.Sprintf("%s%d", prefix, First+number) }

// Fill executes statements without indexes and triggers in their way. What
// triggers would do the statements have to do themselves. PostgreSQL looks at what
// it has afterwards, as it does by itself; SQLite does not, because nothing makes
// it do so for a service.
func Fill(t testing.TB, db *database.Database, statements []string) {
	t.Helper()
	ctx := context.Background()
	pool, release, err := db.OpenForMigration(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = release() }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	exec := func(text string) {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	taken := `SELECT 'DROP ' || type || ' "' || name || '"', sql FROM sqlite_master
		WHERE type IN ('index', 'trigger') AND sql IS NOT NULL`
	before, after := []string{"PRAGMA cache_size = -200000", "BEGIN"}, []string{"COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)"}
	if db.Dialect == dialect.Postgres {
		taken = `SELECT 'DROP INDEX "' || i.relname || '"', pg_get_indexdef(i.oid) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
			WHERE i.relnamespace = current_schema()::regnamespace AND NOT x.indisprimary`
		// Foreign keys are not looked at one by one.
		before = []string{
			"SET session_replication_role = replica", "SET synchronous_commit = off", "SET maintenance_work_mem = '256MB'",
			"SET max_parallel_maintenance_workers = 0", "BEGIN",
		}
		after = []string{"COMMIT", "VACUUM (ANALYZE)"}
	}
	var remake []string
	for _, text := range before {
		exec(text)
	}
	for drop, create := range definitions(t, conn, taken) {
		exec(drop)
		remake = append(remake, create)
	}
	for _, text := range append(append(statements, remake...), after...) {
		exec(text)
	}
}

func definitions(t testing.TB, conn *sql.Conn, query string) map[string]string {
	t.Helper()
	rows, err := conn.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]string{}
	for rows.Next() {
		var drop, create string
		if err := rows.Scan(&drop, &create); err != nil {
			t.Fatal(err)
		}
		out[drop] = create
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
