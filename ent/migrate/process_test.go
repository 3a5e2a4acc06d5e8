package migrate_test

import (
	"bufio"
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/leaktest"
)

const (
	// instanceURL makes the test binary an instance of a service, which migrates
	// the database that it names.
	instanceURL = "ASHLAR_TEST_MIGRATE_URL"
	// pauseAt is the number of the pause at which the instance stays, until it is
	// killed.
	pauseAt = "ASHLAR_TEST_MIGRATE_PAUSE"
	// patience bounds what takes a moment on a machine that has nothing else to do.
	patience = time.Minute
)

func TestMain(m *testing.M) {
	if url := os.Getenv(instanceURL); url != "" {
		os.Exit(instance(config.Secret(url)))
	}
	leaktest.Main(m)
}

// steps are migrations that can be made to stay at any place between two of their
// statements, and in their commits. Each changes a table and what is in it, so that
// one that is applied twice fails or shows in the count.
func steps(name string) map[string]string {
	place := 0
	// In SQLite a function of this binary blocks, in PostgreSQL a lock that the test
	// holds. In a commit that is a hook, or a trigger that is put off until then.
	pause, commit := "SELECT pg_advisory_xact_lock(%d);\n", "SET LOCAL ashlar.commit_place = '%d';\n"
	trigger := `CREATE OR REPLACE FUNCTION pause_commit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(current_setting(''ashlar.commit_place'')::bigint); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER pause_commit AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pause_commit();
`
	if name == dialect.SQLite {
		pause, commit, trigger = "SELECT ashlar_pause(%d);\n", "SELECT ashlar_pause_commit(%d);\n", ""
	}
	at := func(kind string) string {
		place++
		return fmt.Sprintf(kind, place)
	}
	return map[string]string{
		"1_make.sql": at(commit) + at(pause) + "CREATE TABLE t (n bigint);\n" + trigger + at(pause) + "INSERT INTO t VALUES (1);\n" + at(pause),
		"2_fill.sql": at(commit) + at(pause) + "ALTER TABLE t ADD COLUMN m bigint;\n" + at(pause) + "INSERT INTO t (n) SELECT n + 1 FROM t;\n" + at(pause),
		"3_more.sql": at(commit) + at(pause) + "CREATE INDEX t_n ON t (n);\n" + at(pause) + "INSERT INTO t (n, m) SELECT n + 10, 1 FROM t;\n" + at(pause),
	}
}

// places is how many there are in steps.
const places = 12

// whole fails where the database is not what all of steps make, each once.
func whole(t *testing.T, db *database.Database) {
	t.Helper()
	for query, want := range map[string]int{
		"SELECT count(*) FROM t":                                            4,
		"SELECT count(*) FROM t WHERE m = 1":                                2,
		"SELECT count(*) FROM schema_migrations WHERE version_id > 0":       3,
		"SELECT count(DISTINCT version_id) FROM schema_migrations":          4,
		"SELECT count(*) FROM schema_migrations WHERE checksum IS NOT NULL": 3,
		"SELECT coalesce(sum(n), 0) FROM t":                                 26,
	} {
		var got int
		require.NoError(t, db.DB.QueryRowContext(t.Context(), query).Scan(&got), query)
		assert.Equal(t, want, got, query)
	}
}

// pauseSQLite makes the functions of steps.
func pauseSQLite() {
	pause := func(place string) {
		if place == os.Getenv(pauseAt) {
			fmt.Println("paused")
			select {}
		}
	}
	sqlite.MustRegisterScalarFunction("ashlar_pause", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		pause(fmt.Sprint(args[0]))
		return nil, nil //nolint:nilnil // NULL
	})
	inCommit := "none" // of the only connection that writes
	sqlite.MustRegisterScalarFunction("ashlar_pause_commit", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		inCommit = fmt.Sprint(args[0])
		return nil, nil //nolint:nilnil // NULL
	})
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, _ string) error {
		hooks, ok := conn.(sqlite.HookRegisterer)
		if !ok {
			return fmt.Errorf("a %T has no hooks", conn)
		}
		hooks.RegisterCommitHook(func() int32 {
			pause(inCommit)
			return 0 // commit
		})
		return nil
	})
}

// instance migrates and ends, or stays where it is told to.
func instance(url config.Secret) int {
	ctx := context.Background()
	fail := func(err error) int {
		fmt.Println("failed:", err)
		return 1
	}
	pauseSQLite()
	db, err := database.Open(ctx, url)
	if err != nil {
		return fail(err)
	}
	fmt.Println("ready")
	// All begin at once.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fail(err)
	}
	if err := migrate.Apply(ctx, db, files(steps(db.Dialect)), slog.New(slog.NewTextHandler(os.Stdout, nil))); err != nil {
		return fail(err)
	}
	if err := db.Close(); err != nil {
		return fail(err)
	}
	fmt.Println("done")
	return 0
}

// process is an instance.
type process struct {
	command *exec.Cmd
	begin   io.Closer
	lines   chan string // what it prints, until it ends
}

// run starts an instance that waits for begin to be closed.
func run(t *testing.T, url config.Secret, env ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	p := &process{command: exec.CommandContext(t.Context(), executable), lines: make(chan string, 100)}
	p.command.Env = append(append(os.Environ(), instanceURL+"="+url.Reveal()), env...)
	stdin, err := p.command.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	p.begin = stdin
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	})
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		for range p.lines { // read to the end
		}
		reading.Wait()
		_ = p.command.Wait()
	})
	p.await(t, "ready")
	return p
}

// await reads until a line that contains text, and returns those before it.
func (p *process) await(t *testing.T, text string) []string {
	t.Helper()
	var before []string
	deadline := time.After(patience)
	for {
		select {
		case line, open := <-p.lines:
			if !open {
				require.Fail(t, "the instance ended", "before it said %q: %s", text, before)
			}
			if strings.Contains(line, text) {
				return before
			}
			before = append(before, line)
		case <-deadline:
			require.Fail(t, "the instance does not say what was waited for", "%q: %s", text, before)
		}
	}
}

// Twenty processes that start at once on an empty database.
func TestTwentyProcessesApplyOnce(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		const instances = 20
		var all []*process
		for range instances {
			all = append(all, run(t, url))
		}
		for _, p := range all {
			require.NoError(t, p.begin.Close())
		}
		applied := 0
		for _, p := range all {
			for _, line := range p.await(t, "done") {
				if strings.Contains(line, "applied a migration") {
					applied++
				}
			}
		}
		assert.Equal(t, 3, applied, "each is logged by the one that applied it")
		whole(t, dbtest.Open(t, url))
	})
}

// kill -9 at every place between two statements: before the first of a migration
// is after the commit of the one before, and after the last is before the commit.
// And in every commit: SQLite's is lost with the process, and PostgreSQL's goes on
// without anybody who hears of it.
func TestKilledAtEveryPlace(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		db := dbtest.Open(t, url)
		for place := 1; place <= places; place++ {
			clean(t, db)
			if db.Dialect == dialect.SQLite {
				killPaused(t, url, place)
			} else {
				killLocked(t, url, db, place)
			}
			again(t, url)
		}
	})
}

// killPaused kills an instance on SQLite that is at a place.
func killPaused(t *testing.T, url config.Secret, place int) {
	t.Helper()
	p := run(t, url, fmt.Sprintf("%s=%d", pauseAt, place))
	require.NoError(t, p.begin.Close())
	p.await(t, "paused")
	require.NoError(t, p.command.Process.Kill())
}

// killLocked kills an instance on PostgreSQL that is at a place.
func killLocked(t *testing.T, url config.Secret, db *database.Database, place int) {
	t.Helper()
	holder, err := db.DB.Conn(t.Context())
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", place)
	require.NoError(t, err)
	// Otherwise the server ends the wait for this lock, and the migration with it.
	p := run(t, dbtest.With(url, "lock_timeout", "0"))
	require.NoError(t, p.begin.Close())
	require.Eventually(t, func() bool {
		var waiting int
		err := db.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").Scan(&waiting)
		return assert.NoError(t, err) && waiting == 1
	}, patience, 5*time.Millisecond)
	require.NoError(t, p.command.Process.Kill())
	_ = p.command.Wait()
	// The server sees that its client is gone when it answers.
	_, err = holder.ExecContext(t.Context(), "SELECT pg_advisory_unlock($1)", place)
	require.NoError(t, err)
	require.NoError(t, holder.Close())
}

// clean takes away what an instance has made.
func clean(t *testing.T, db *database.Database) {
	t.Helper()
	for _, table := range []string{"t", migrate.Table} {
		_, err := db.DB.ExecContext(t.Context(), "DROP TABLE IF EXISTS "+table)
		require.NoError(t, err)
	}
}

// again starts an instance after a crash.
func again(t *testing.T, url config.Secret) {
	t.Helper()
	p := run(t, url)
	require.NoError(t, p.begin.Close())
	p.await(t, "done")
	whole(t, dbtest.Open(t, url))
}
