package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/migrations"
)

var errCrash = errors.New("crash")

// crasher is a driver whose transactions fail at their step-th statement; the commit is a statement, too.
type crasher struct {
	dialect.Driver

	step int
	// late has the commit done before it fails, as when the answer is lost.
	late bool
	// passed says that a transaction was committed without a failure.
	passed bool
}

// Tx implements dialect.Driver.
func (c *crasher) Tx(ctx context.Context) (dialect.Tx, error) {
	tx, err := c.Driver.Tx(ctx)
	return &crashingTx{Tx: tx, c: c, left: c.step}, err
}

type crashingTx struct {
	dialect.Tx

	c    *crasher
	left int
}

func (t *crashingTx) crashes() bool {
	t.left--
	return t.left == 0
}

// Exec implements dialect.ExecQuerier.
func (t *crashingTx) Exec(ctx context.Context, query string, args, v any) error {
	if t.crashes() {
		return errCrash
	}
	return t.Tx.Exec(ctx, query, args, v)
}

// Query implements dialect.ExecQuerier.
func (t *crashingTx) Query(ctx context.Context, query string, args, v any) error {
	if t.crashes() {
		return errCrash
	}
	return t.Tx.Query(ctx, query, args, v)
}

// ExecContext is what ent's Tx.ExecContext calls.
func (t *crashingTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if t.crashes() {
		return nil, errCrash
	}
	tx, ok := t.Tx.(interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	})
	if !ok {
		return nil, errors.New("no statements by hand")
	}
	return tx.ExecContext(ctx, query, args...)
}

// Commit implements driver.Tx.
func (t *crashingTx) Commit() error {
	if !t.crashes() {
		t.c.passed = true
		return t.Tx.Commit()
	}
	if t.c.late {
		return errors.Join(t.Tx.Commit(), errCrash)
	}
	return errors.Join(t.Tx.Rollback(), errCrash)
}

func newStore(t *testing.T, db *database.Database) *Store {
	t.Helper()
	s, err := New(db, Config{SealKey: make([]byte, 32)})
	require.NoError(t, err)
	return s
}

func someEvents(from, to int) []*ent.Event {
	var out []*ent.Event
	for i := from; i < to; i++ {
		out = append(out, &ent.Event{
			EventID: fmt.Sprintf("evt_%04d", i), OccurredAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Service: "notes", Action: "note.create",
			ActorKind: 2, ActorID: "usr_ann", Outcome: 1,
		})
	}
	return out
}

// whole checks that events, hashes and checkpoint belong together, and returns how many events there are.
func whole(t *testing.T, s *Store) int64 {
	t.Helper()
	_, at, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	rows, err := s.EventsAfter(t.Context(), Filter{}, 0, 0, 10_000)
	require.NoError(t, err)
	require.Len(t, rows, int(at.Size))
	v, err := auditlog.NewVerifier(at)
	require.NoError(t, err)
	for _, row := range rows {
		require.NoError(t, v.Add(Message(row)))
	}
	require.NoError(t, v.Finish())
	hashes, err := s.client.TreeHash.Query().Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, tlog.StoredHashCount(at.Size), int64(hashes))
	return at.Size
}

// An append that dies at any of its statements leaves nothing, or, at the commit, perhaps all; it can be made again.
func TestACrashAtAnyStatement(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"before the commit": false, "after the commit": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *database.Database) {
				require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
				steady := newStore(t, db)
				require.NoError(t, steady.Open(t.Context()))
				require.NoError(t, steady.Append(t.Context(), someEvents(0, 5)))
				crashes, size := 0, int64(5)
				for step := 1; ; step++ {
					c := &crasher{Driver: db.Driver(), step: step, late: late}
					s := newStore(t, db)
					require.NoError(t, s.Open(t.Context()))
					s.client = ent.NewClient(ent.Driver(c))
					batch := someEvents(int(size), int(size)+7)
					err := s.Append(t.Context(), append(someEvents(0, 2), batch...))
					after := whole(t, steady)
					if c.passed {
						require.NoError(t, err)
						require.Equal(t, size+7, after)
						break
					}
					require.ErrorIs(t, err, errCrash)
					crashes++
					require.Contains(t, []int64{size, size + 7}, after)
					require.True(t, late || after == size, "nothing is left of it")
					// The same instance goes on, and delivers again.
					s.client = steady.client
					require.NoError(t, s.Append(t.Context(), batch))
					require.NoError(t, s.Append(t.Context(), someEvents(int(size)+7, int(size)+8)))
					size += 8
					require.Equal(t, size, whole(t, steady))
				}
				require.GreaterOrEqual(t, crashes, 5, "it has statements, and a commit")
			})
		})
	}
}

// before returns the migrations of the release without a log.
func before(t *testing.T) fs.FS {
	t.Helper()
	old := fstest.MapFS{}
	for _, name := range []string{"sqlite", "postgres"} {
		file := name + "/20261122182534_init.sql"
		text, err := fs.ReadFile(migrations.FS, file)
		require.NoError(t, err)
		old[file] = &fstest.MapFile{Data: text}
	}
	return old
}

// The events of a database from before become the first leaves, in their order, also where that is interrupted.
func TestEventsFromBefore(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		db := dbtest.Open(t, url)
		require.NoError(t, migrate.Apply(t.Context(), db, before(t), slog.New(slog.DiscardHandler)))
		const count = 2*adoptBatch + 500
		for from := 0; from < count; from += 500 {
			var rows []string
			for i := from; i < from+500; i++ {
				rows = append(rows, fmt.Sprintf(
					`('evt_%05d', '2026-03-01 12:00:00.123456+00:00', 'notes', '', 'note.create', 2, 'usr_ann', '', 'org_a', '', 1, '', '', '{"b":"2","a":"%d"}')`, i, i))
			}
			// The order of sequences is not that of ids or of time, and has gaps.
			_, err := db.DB.ExecContext(t.Context(), `INSERT INTO events (event_id, occurred_at, service, procedure, action, actor_kind, actor_id, session_id,
				organization_id, resource, outcome, reason, trace_id, attributes) VALUES `+strings.Join(rows, ","))
			require.NoError(t, err)
			_, err = db.DB.ExecContext(t.Context(), fmt.Sprintf("DELETE FROM events WHERE event_id = 'evt_%05d'", from+250))
			require.NoError(t, err)
		}
		require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))

		interrupted := newStore(t, db)
		opened, err := interrupted.openOnce(t.Context())
		require.NoError(t, err)
		require.False(t, opened, "there are more")
		_, _, err = interrupted.Checkpoint(t.Context())
		require.ErrorIs(t, err, ErrDamaged, "nothing is signed before all are in")

		stores := make([]*Store, 3)
		var opening sync.WaitGroup
		for i := range stores {
			stores[i] = newStore(t, dbtest.Open(t, url))
			opening.Go(func() {
				if err := stores[i].Open(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		opening.Wait()
		require.Equal(t, int64(count-5), whole(t, stores[0]))
		rows, err := stores[0].EventsAfter(t.Context(), Filter{}, 0, 0, 3)
		require.NoError(t, err)
		require.Equal(t, "evt_00000", rows[0].EventID)
		require.NoError(t, stores[1].Append(t.Context(), someEvents(0, 3)))
		require.NoError(t, stores[2].Append(t.Context(), someEvents(2, 5)))
		require.Equal(t, int64(count), whole(t, stores[0]))
	})
}

// The release before cannot add events that have no place, while the two run side by side.
func TestTheReleaseBeforeAddsNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
		_, err := db.DB.ExecContext(t.Context(), `INSERT INTO events (event_id, occurred_at, service, procedure, action, actor_kind, actor_id, session_id,
			organization_id, resource, outcome, reason, trace_id, attributes) VALUES ('evt_1', '2026-03-01 12:00:00+00:00', 'notes', '', 'note.create', 2, 'usr_ann', '', '', '', 1, '', '', '{}')`)
		require.ErrorContains(t, err, "leaf_index")
	})
}
