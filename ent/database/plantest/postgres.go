package plantest

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// largeTable is from how many rows on a table must not be read from end to end.
const largeTable = 10_000

// postgres asks PostgreSQL for the plan, and what it took.
type postgres struct{ db *sql.DB }

// node is a step of a plan, as EXPLAIN (FORMAT JSON) shows it.
type node struct {
	Type       string  `json:"Node Type"`
	Relation   string  `json:"Relation Name"`
	Index      string  `json:"Index Name"`
	Rows       float64 `json:"Actual Rows"`
	Loops      float64 `json:"Actual Loops"`
	Removed    float64 `json:"Rows Removed by Filter"`
	Rechecked  float64 `json:"Rows Removed by Index Recheck"`
	SharedHit  int     `json:"Shared Hit Blocks"`
	SharedRead int     `json:"Shared Read Blocks"`
	Plans      []node  `json:"Plans"`
}

// explain looks at the plan for the values at hand, which is what the connections
// of services ask for, and where it is wanted at the one for any, too.
func (e *postgres) explain(t *testing.T, s sent, allow Allow) []string {
	t.Helper()
	modes := []string{"force_custom_plan"}
	if allow.anyValues {
		modes = append(modes, "force_generic_plan")
	}
	var all []string
	for _, mode := range modes {
		root, text := e.plan(t, s, mode)
		complaints := e.complaints(t, root, allow)
		if read := root.SharedHit + root.SharedRead; read > allow.Pages {
			complaints = append(complaints, fmt.Sprintf("%d pages were read, and %d are allowed", read, allow.Pages))
		}
		if len(complaints) > 0 {
			all = append(append(all, mode+":"), append(complaints, text)...)
		}
	}
	return all
}

// plan makes a plan of a kind for a statement, and executes it.
func (e *postgres) plan(t *testing.T, s sent, mode string) (root node, text string) {
	t.Helper()
	ctx := context.Background()
	conn, err := e.db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// Prepared statements outlive what is rolled back.
	defer func() { _, _ = conn.ExecContext(ctx, "DEALLOCATE looked_at", pgx.QueryExecModeSimpleProtocol) }()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	literals := make([]string, len(s.args))
	for i, arg := range s.args {
		literals[i] = literal(t, arg)
	}
	execute := "EXECUTE looked_at"
	if len(literals) > 0 {
		execute += "(" + strings.Join(literals, ", ") + ")"
	}
	for _, each := range []string{"SET LOCAL plan_cache_mode = " + mode, "SET LOCAL max_parallel_workers_per_gather = 0", "PREPARE looked_at AS " + s.text} {
		// As they are: pgx would prepare them, and keep that.
		if _, err := tx.ExecContext(ctx, each, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%v\n%s", err, each)
		}
	}
	if err := tx.QueryRowContext(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+execute, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		t.Fatalf("%v\n%s", err, s.text)
	}
	var plans []struct {
		Plan node `json:"Plan"`
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		t.Fatal(errors.Join(err, errors.New("not one plan: "+text)))
	}
	return plans[0].Plan, text
}

func (e *postgres) complaints(t *testing.T, n node, allow Allow) (found []string) {
	t.Helper()
	most := float64(allow.Rows)
	loops := max(n.Loops, 1)
	if n.Type == "Seq Scan" && n.Loops > 0 && !allow.Scan && e.large(t, n.Relation) {
		found = append(found, "a full scan of "+n.Relation)
	}
	if thrown := (n.Removed + n.Rechecked) * loops; thrown > most {
		found = append(found, fmt.Sprintf("%.0f rows were read of %s %s and thrown away", thrown, n.Relation, n.Index))
	}
	if (n.Type == "Sort" || n.Type == "Incremental Sort") && len(n.Plans) > 0 {
		if sorted := n.Plans[0].Rows * max(n.Plans[0].Loops, 1); sorted > most {
			found = append(found, fmt.Sprintf("%.0f rows were sorted", sorted))
		}
	}
	for _, child := range n.Plans {
		found = append(found, e.complaints(t, child, allow)...)
	}
	return found
}

func (e *postgres) large(t *testing.T, table string) bool {
	t.Helper()
	var n float64
	err := e.db.QueryRowContext(t.Context(),
		"SELECT reltuples FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace", table).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n >= largeTable
}

// literal writes a value of a parameter into a statement. They are those of a
// test, which no hostile person makes.
func literal(t *testing.T, value any) string {
	t.Helper()
	switch v := value.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case []byte:
		return `'\x` + hex.EncodeToString(v) + "'"
	case time.Time:
		return "'" + v.Format(time.RFC3339Nano) + "'"
	case []int64:
		return "'" + strings.NewReplacer("[", "{", "]", "}", " ", ",").Replace(fmt.Sprint(v)) + "'"
	case bool, int, int32, int64:
		return fmt.Sprint(v)
	}
	// A string of ent's own type, such as that of an enum.
	return "'" + strings.ReplaceAll(fmt.Sprint(value), "'", "''") + "'"
}
