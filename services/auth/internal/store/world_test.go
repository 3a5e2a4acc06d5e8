package store_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/auth/internal/store"
	"ashlar.dev/services/auth/migrations"
)

// instances is how many processes a test with many of them has.
const instances = 10

// world is one database, with as many stores on it as a test wants.
type world struct {
	*store.Store

	t   *testing.T
	url config.Secret
	db  *database.Database

	mu  sync.Mutex
	now time.Time
}

// each runs a test on every dialect.
func each(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		w := &world{t: t, url: url, now: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)}
		w.db = dbtest.Open(t, url)
		require.NoError(t, migrate.Apply(t.Context(), w.db, migrations.FS, slog.New(slog.DiscardHandler)))
		w.Store = w.on(w.db)
		test(t, w)
	})
}

func (w *world) on(db *database.Database) *store.Store {
	log := slog.New(slog.DiscardHandler)
	return store.New(db, trail.New("auth", outbox.New(db, log, nil), db.DB, log, prometheus.NewRegistry()), w.clock)
}

// many returns the stores of several instances, each with connections of its own.
func (w *world) many() []*store.Store {
	w.t.Helper()
	out := make([]*store.Store, instances)
	for i := range out {
		out[i] = w.on(dbtest.Open(w.t, w.url))
	}
	return out
}

// atOnce runs one function per instance, all at the same time, and returns their errors.
func (w *world) atOnce(run func(i int, s *store.Store) error) []error {
	w.t.Helper()
	stores := w.many()
	errs := make([]error, len(stores))
	var ready, done sync.WaitGroup
	ready.Add(len(stores))
	for i, s := range stores {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = run(i, s)
		})
	}
	done.Wait()
	return errs
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// events returns what was recorded with an action.
func (w *world) events(action string) []*auditv1.Event {
	w.t.Helper()
	rows, err := w.db.DB.QueryContext(context.Background(), "SELECT payload FROM outbox_events ORDER BY id")
	require.NoError(w.t, err)
	defer rows.Close()
	var out []*auditv1.Event
	for rows.Next() {
		var payload []byte
		require.NoError(w.t, rows.Scan(&payload))
		var e auditv1.Event
		require.NoError(w.t, proto.Unmarshal(payload, &e))
		if e.GetAction() == action {
			out = append(out, &e)
		}
	}
	require.NoError(w.t, rows.Err())
	return out
}

func countNil(errs []error) int {
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n
}

func allNil(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		assert.NoError(t, err)
	}
}
