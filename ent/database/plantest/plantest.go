package plantest

import (
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
)

// fewRows is how many rows there are in an ordinary run of the tests, which is
// on SQLite only: it plans without looking at sizes as much as PostgreSQL.
const fewRows = 2000

// rows is how many rows large tables get: ASHLAR_TEST_ROWS, or few.
func rows(t testing.TB) int {
	t.Helper()
	text := os.Getenv("ASHLAR_TEST_ROWS")
	if text == "" {
		return fewRows
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < fewRows {
		t.Fatalf("ASHLAR_TEST_ROWS=%q: write a number from %d on", text, fewRows)
	}
	return n
}

// Plans looks at statements.
type Plans struct {
	DB *database.Database
	// Rows is how many there are in large tables.
	Rows int

	recorder *recorder
	open     explainer
	called   map[string]bool
}

// Run fills a database of each dialect with what fill's statements insert, and
// calls check with it.
func Run(t *testing.T, migrations fs.FS, fill func(SQL) []string, check func(*testing.T, *Plans)) {
	t.Helper()
	n := rows(t)
	run := func(t *testing.T, url config.Secret) {
		recorder := &recorder{}
		db, err := database.Open(t.Context(), url, database.Observe(database.Observation{Statement: recorder.record}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if err := migrate.Apply(t.Context(), db, migrations, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		Fill(t, db, fill(SQL{Dialect: db.Dialect, Rows: n}))
		check(t, &Plans{DB: db, Rows: n, recorder: recorder, open: newExplainer(t, db), called: map[string]bool{}})
	}
	t.Run("sqlite", func(t *testing.T) { run(t, dbtest.SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) {
		if n == fewRows {
			t.Skip("PostgreSQL reads small tables from end to end, rightly: ./taskw test:plans looks at large ones")
		}
		run(t, dbtest.PostgresURL(t))
	})
}

// Page looks at a call that reads a page, or less: it must read not much more
// than it answers, however large the tables are. The name begins with that of the
// store's method, and goes on after a slash with what it is called with.
func (p *Plans) Page(t *testing.T, name string, call func() error) {
	t.Helper()
	p.look(t, name, call, page)
}

// Always is Page for a call that many others wait for, such as a decision: its
// plan must also be good where PostgreSQL makes one for all values. Connections of
// services ask it not to, but a pooler may lose that. For pages of lists the guesses
// of two such plans are too near each other to hold from one day to the next.
func (p *Plans) Always(t *testing.T, name string, call func() error) {
	t.Helper()
	always := page
	always.anyValues = true
	p.look(t, name, call, always)
}

// Allow is how much the statements of a call may read.
type Allow struct {
	// Pages of the database that may be read.
	Pages int
	// Rows that may be read and thrown away, or sorted.
	Rows int
	// Scan allows to read a table from end to end.
	Scan bool

	anyValues bool
}

// page is what a page of 200 rows at most may take: each row can be on a page of
// its own, and be found in an index, and be looked for in a second table.
var page = Allow{Pages: 1500, Rows: 500}

// Larger is Page for a call that has a reason to read more.
func (p *Plans) Larger(t *testing.T, name string, allow Allow, call func() error) {
	t.Helper()
	p.look(t, name, call, allow)
}

// Complete fails where a method of a store was not looked at, and is not among
// those that others say why of: so a new list is noticed.
func (p *Plans) Complete(t *testing.T, store any, others map[string]string) {
	t.Helper()
	for _, complaint := range incomplete(reflect.TypeOf(store), p.called, others) {
		t.Error(complaint)
	}
}

func incomplete(store reflect.Type, called map[string]bool, others map[string]string) (complaints []string) {
	has := map[string]bool{}
	for method := range store.Methods() {
		name := method.Name
		has[name] = true
		switch {
		case called[name] && others[name] != "":
			complaints = append(complaints, name+" is looked at, and among those that are not")
		case !called[name] && others[name] == "":
			complaints = append(complaints, name+" is not looked at: call it with a large table, or say why it needs none")
		}
	}
	for name := range others {
		if !has[name] {
			complaints = append(complaints, name+" is not a method of the store any more")
		}
	}
	slices.Sort(complaints)
	return complaints
}

func (p *Plans) look(t *testing.T, name string, call func() error, allow Allow) {
	t.Helper()
	method, _, _ := strings.Cut(name, "/")
	p.called[method] = true
	t.Run(name, func(t *testing.T) {
		statements, err := p.recorder.during(call)
		if err != nil {
			t.Fatal(err)
		}
		if len(statements) == 0 {
			t.Fatal("no statement was sent")
		}
		for _, s := range statements {
			for _, complaint := range p.open.explain(t, s, allow) {
				t.Errorf("%s\n%s\narguments: %v", complaint, s.text, s.args)
			}
		}
	})
}

// sent is a statement as the driver got it.
type sent struct {
	text string
	args []any
}

// recorder keeps what is sent while it is on.
type recorder struct {
	mu   sync.Mutex
	on   bool
	kept []sent
}

func (r *recorder) record(text string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.kept = append(r.kept, sent{text, slices.Clone(args)})
	}
}

// during returns what call sends that has a plan.
func (r *recorder) during(call func() error) ([]sent, error) {
	r.mu.Lock()
	r.on, r.kept = true, nil
	r.mu.Unlock()
	err := call()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return slices.DeleteFunc(r.kept, func(s sent) bool { return !planned(s.text) }), err
}

func planned(text string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	text = strings.ToUpper(text)
	return slices.Contains([]string{"SELECT", "UPDATE", "DELETE", "WITH"}, strings.ToUpper(first)) &&
		// What reads no table, and what cannot be done twice.
		strings.Contains(text, "FROM") && !strings.Contains(text, "INSERT INTO") || strings.EqualFold(first, "UPDATE")
}

// explainer finds out how a statement is answered.
type explainer interface {
	// explain returns what is wrong with it.
	explain(t *testing.T, s sent, allow Allow) []string
}

func newExplainer(t *testing.T, db *database.Database) explainer {
	t.Helper()
	if db.Dialect == dialect.Postgres {
		return &postgres{db.DB}
	}
	return newSQLite(t, db.File())
}
