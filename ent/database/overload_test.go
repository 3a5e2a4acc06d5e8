package database_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
	"ashlar.dev/kernel/config"
)

// Who finds every connection taken is turned away while there is time to answer; what was taken is given back, however it
// ended.
func TestNoConnectionIsFree(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		free := 7 // of 8, one of which is left to the outbox
		if address := url.Reveal(); strings.HasPrefix(address, dialect.Postgres) {
			url, free = config.Secret(address+"&pool_max_conns=4"), 3
		} else {
			url = dbtest.With(url, "busy_timeout", "1000")
		}
		registry := prometheus.NewRegistry()
		db, err := database.Open(t.Context(), url, database.Observe(database.Observation{Metrics: registry}))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		client := notes(t, db)
		require.NoError(t, client.Note.Create().SetID("note_1").SetTitle("one").Exec(t.Context()))
		calls := map[string]func(context.Context) error{
			"a statement": func(ctx context.Context) error { _, err := client.Note.Query().IDs(ctx); return err },
			"a transaction": func(ctx context.Context) error {
				return database.InTx(ctx, db, client.Tx, func(tx *ent.Tx) error { return tx.Note.UpdateOneID("note_1").SetTitle("two").Exec(ctx) })
			},
		}
		all := func() {
			for name, call := range calls {
				require.NoError(t, call(t.Context()), name)
			}
		}

		taken := make([]entsql.Rows, free)
		for i := range taken {
			all()
			require.NoError(t, db.Driver().Query(t.Context(), "SELECT 1 UNION SELECT 2", []any{}, &taken[i]))
		}
		turnedAway(t, calls)
		for name, call := range calls {
			gone, leave := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, leave)
			require.ErrorIs(t, call(gone), context.Canceled, name)
		}
		last, err := db.Conn(t.Context())
		require.NoError(t, err, "one is left to the outbox")
		direct := map[string]func(context.Context) error{
			"a statement": func(ctx context.Context) error {
				_, err := db.ExecContext(ctx, "DELETE FROM notes WHERE id = 'none'")
				return err
			},
			"a transaction": func(ctx context.Context) error {
				return database.InTx(ctx, db, db.Begin, func(*database.DirectTx) error { return nil })
			},
		}
		before := counters(t, registry)["ashlar_database_wait_seconds_total"]
		turnedAway(t, direct)
		for name, call := range direct {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, call(ctx), context.Canceled, "%s beside ent", name)
		}
		require.Greater(t, counters(t, registry)["ashlar_database_wait_seconds_total"], before+0.1, "they have waited for seconds")
		require.NoError(t, last.Close())
		for range 2 { // the second time shows that the first has given its connection back
			for name, call := range direct {
				require.NoError(t, call(t.Context()), "%s beside ent", name)
			}
		}
		for i := range taken {
			require.NoError(t, taken[i].Close())
			all()
			require.NoError(t, taken[i].Close(), "again")
		}
		for range 4 * free { // also what fails gives back what it took
			require.Error(t, client.Note.Create().SetID("note_1").SetTitle("again").Exec(t.Context()))
			require.Error(t, db.Driver().Query(t.Context(), "SELECT nothing", []any{}, &entsql.Rows{}))
			ctx, cancel := context.WithCancel(t.Context())
			_, err := db.Driver().Tx(ctx) // nobody ends it
			require.NoError(t, err)
			cancel()
			require.Eventually(t, func() bool { return db.DB.Stats().InUse == 0 }, time.Minute, time.Millisecond)
		}
		all()

		require.EqualValues(t, len(calls)+len(direct), counters(t, registry)["ashlar_database_overloaded_total"])
	})
}

// turnedAway has each wait for a connection that does not come, beside the others, and looks that it does not wait as long
// as its caller. What it waits at most is much less: the machine may stall meanwhile.
func turnedAway(t *testing.T, calls map[string]func(context.Context) error) {
	t.Helper()
	var all sync.WaitGroup
	for name, call := range calls {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := call(ctx)
			assert.ErrorIs(t, err, database.ErrOverloaded, name)
			assert.True(t, database.IsUnavailable(err), name)
			assert.NoError(t, ctx.Err(), "%s: there is time to answer", name)
		})
	}
	all.Wait()
}

func counters(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	metrics, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, m := range metrics {
		got[m.GetName()] = m.GetMetric()[0].GetCounter().GetValue()
	}
	return got
}

// On SQLite writers take turns, and who waits too long for one is turned away.
func TestOneWriter(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.With(dbtest.SQLiteURL(t), "busy_timeout", "1000"))
	client := notes(t, db)
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- database.InTx(t.Context(), db, client.Tx, func(tx *ent.Tx) error {
			close(inside)
			<-leave
			return tx.Note.Create().SetID("note_1").SetTitle("one").Exec(t.Context())
		})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := database.InTx(ctx, db, client.Tx, func(*ent.Tx) error {
		t.Error("two write at once")
		return nil
	})
	require.ErrorIs(t, err, database.ErrOverloaded)
	require.NoError(t, ctx.Err())
	n, err := client.Note.Query().Count(t.Context())
	require.NoError(t, err, "who reads waits for nobody")
	require.Zero(t, n)
	close(leave)
	require.NoError(t, <-done)
	require.NoError(t, database.InTx(t.Context(), db, client.Tx, func(tx *ent.Tx) error {
		return tx.Note.UpdateOneID("note_1").SetTitle("two").Exec(t.Context())
	}))
}
