package plantest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"modernc.org/sqlite"
)

// sqliteExplainer counts the pages that SQLite reads for a statement, which it
// tells of a connection.
type sqliteExplainer struct{ conn *sql.Conn }

func newSQLite(t *testing.T, file string) *sqliteExplainer {
	t.Helper()
	name := url.URL{Scheme: "file", Path: file, RawQuery: "_time_format=sqlite&_timezone=UTC"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(conn.Close(), db.Close()) })
	return &sqliteExplainer{conn}
}

func (e *sqliteExplainer) explain(t *testing.T, s sent, allow Allow) (complaints []string) {
	t.Helper()
	plan := e.plan(t, s)
	for _, step := range plan {
		if allow.Scan {
			break
		}
		// An index that is read in its order ends with the page; the number of pages shows whether it does.
		if strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, " USING ") && !strings.Contains(step, "VIRTUAL TABLE") &&
			!strings.Contains(step, "CONSTANT ROW") && !strings.Contains(step, "SUBQUERY") && !firstRows(s.text, plan) {
			complaints = append(complaints, "a full scan: "+step)
		}
	}
	if read := e.pages(t, s); read > allow.Pages {
		complaints = append(complaints, fmt.Sprintf("%d pages were read, and %d are allowed", read, allow.Pages))
	}
	if len(complaints) > 0 {
		complaints = append(complaints, "plan: "+strings.Join(plan, "; "))
	}
	return complaints
}

// firstRows tells whether a statement reads a table in the order of its rows, from
// either end, and stops when it has enough.
func firstRows(text string, plan []string) bool {
	return len(plan) == 1 && !strings.Contains(text, "WHERE") && strings.Contains(text, "LIMIT")
}

func (e *sqliteExplainer) plan(t *testing.T, s sent) (steps []string) {
	t.Helper()
	rows, err := e.conn.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.text, s.args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.text)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// pages executes a statement and undoes it.
func (e *sqliteExplainer) pages(t *testing.T, s sent) int {
	t.Helper()
	// Not t.Context: it has to be undone also at the end.
	ctx := context.Background()
	tx, err := e.conn.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Also where the test ends here: the connection would wait for it.
	defer func() { _ = tx.Rollback() }()
	before := e.read(t)
	if err := readAll(ctx, tx, s); err != nil {
		t.Fatalf("%v\n%s", err, s.text)
	}
	return e.read(t) - before
}

// readAll reads all rows, as a store does.
func readAll(ctx context.Context, tx *sql.Tx, s sent) (err error) {
	rows, err := tx.QueryContext(ctx, s.text, s.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for more := true; more; more = rows.Next() {
	}
	return rows.Err()
}

// read is how many pages the connection has read so far.
func (e *sqliteExplainer) read(t *testing.T) (total int) {
	t.Helper()
	err := e.conn.Raw(func(conn any) error {
		status, ok := conn.(sqlite.DBStatus)
		if !ok {
			return errors.New("SQLite's driver does not tell how many pages it reads")
		}
		for _, counter := range []sqlite.DBStatusOp{sqlite.DBStatusCacheHit, sqlite.DBStatusCacheMiss} {
			n, _, err := status.Status(counter, false)
			if err != nil {
				return err
			}
			total += n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
