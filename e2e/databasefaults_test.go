package e2e

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver

	"ashlar.dev/ent/pgserver"
)

// PostgreSQL, which all services are on, ends under load, once in order and once by kill -9 of its first process, and
// comes back: callers are told unavailable, or that their deadline passed, and nothing else; they succeed again without
// anybody's help; and what was acknowledged is there once, and on the record once. The server's fsync is off: what it has
// committed is with the operating system, which does not crash here.
func TestPostgreSQLRestartsUnderLoad(t *testing.T) {
	server, administrator := startPostgreSQL(t)
	databases := filepath.Join(t.TempDir(), "databases")
	provision(t, administrator, databases)
	s := newSettings(t)
	s.flags, s.env = []string{"--databases", databases}, unlimited
	p := up(t, s)
	admin := p.admin(t)
	w := startWriters(t, p, admin)
	for _, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Kill} {
		w.under(func() { require.NoError(t, server.Halt(t.Context(), mode)) })
		w.await(&w.refused, 2*manyWriters)
		require.NoError(t, server.Resume(t.Context()))
		first := w.await(&w.acknowledged, 1)
		t.Logf("after %s: the first write is acknowledged %s after the server is back, and %d more %s later", mode,
			first.Round(time.Millisecond), 5*manyWriters, w.await(&w.acknowledged, 5*manyWriters).Round(time.Millisecond))
	}
	w.stop()

	stored := map[string]string{}
	for _, row := range query(t, administrator, "SELECT id, title FROM notes.notes WHERE organization_id = '"+w.org+"'") {
		stored[fmt.Sprint(row[0])] = fmt.Sprint(row[1])
	}
	w.check(admin, stored)
	require.NoError(t, eventually(auditWithin, func() error {
		return drained(fmt.Sprint(query(t, administrator, "SELECT count(*) FROM notes.outbox_events")[0][0]))
	}))
	p.stop(t)
}

// unlimited is of a gateway that counts no calls, and passes them on however busy services are: neither a machine that is
// fast nor one that has much else to do must be told that it makes too many.
var unlimited = []string{"ASHLAR_GATEWAY_RATE_LIMIT=0", "ASHLAR_GATEWAY_NO_SHEDDING=true"}

func drained(count string) error {
	if count != "0" {
		return fmt.Errorf("%s events are in the outbox", count)
	}
	return nil
}

// Processes on SQLite are killed under writes, several times, and `up` starts them again: the databases are whole, and what
// was acknowledged is there once, and on the record once.
func TestServicesDieUnderWrites(t *testing.T) {
	s := newSettings(t)
	s.env = unlimited
	p := up(t, s)
	admin := p.admin(t)
	w := startWriters(t, p, admin)
	for _, service := range []string{"notes", "audit", "notes", "identity", "authz", "notes"} {
		w.settle() // what the last fault has refused is counted as such
		before := w.refused.Load()
		w.under(func() { p.crash(t, service) })
		p.revived(t, service)
		took := w.await(&w.acknowledged, manyWriters)
		refused := w.refused.Load() - before
		t.Logf("%s was killed: %d calls were told so; %d writes are acknowledged %s after it is ready again", service, refused, manyWriters, took.Round(time.Millisecond))
		if service == "audit" || service == "identity" {
			assert.Zero(t, refused, "writes need no %s", service)
		}
	}
	w.stop()

	notes := p.open(t, "notes")
	rows, err := notes.QueryContext(t.Context(), "SELECT id, title FROM notes WHERE organization_id = ?", w.org)
	require.NoError(t, err)
	defer rows.Close()
	stored := map[string]string{}
	for rows.Next() {
		var id, title string
		require.NoError(t, rows.Scan(&id, &title))
		stored[id] = title
	}
	require.NoError(t, rows.Err())
	w.check(admin, stored)
	require.NoError(t, eventually(auditWithin, func() error {
		var count string
		if err := notes.QueryRowContext(t.Context(), "SELECT count(*) FROM outbox_events").Scan(&count); err != nil {
			return err
		}
		return drained(count)
	}))
	p.stop(t)
	for _, service := range services {
		if service != "gateway" {
			var state string
			require.NoError(t, p.open(t, service).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&state))
			assert.Equal(t, "ok", state, service)
		}
	}
}

// open opens the SQLite file of a service for reading.
func (p *platform) open(t testing.TB, service string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.Join(p.home, service+".db"), RawQuery: "mode=ro"}).String())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}
