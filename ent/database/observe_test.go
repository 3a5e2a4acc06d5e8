package database_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/config"
)

// lines is a log in memory that names the trace of a line's context.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) logger() *slog.Logger { return slog.New(traced{slog.NewJSONHandler(l, nil)}) }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func (l *lines) all(t *testing.T) (parsed []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.out.String()) {
		var one map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &one))
		parsed = append(parsed, one)
	}
	return parsed
}

type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, record slog.Record) error {
	record.AddAttrs(slog.String("trace_id", trace.SpanContextFromContext(ctx).TraceID().String()))
	return h.Handler.Handle(ctx, record)
}

func open(t *testing.T, url config.Secret, o database.Observation) *database.Database {
	t.Helper()
	db, err := database.Open(t.Context(), url, database.Observe(o))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// However a statement gets to the pool, it is warned of where it was slow: by ent, by hand, prepared, and in the
// transactions of the outbox.
func TestSlowStatementsAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		var log lines
		metrics := prometheus.NewRegistry()
		db := open(t, url, database.Observation{Log: log.logger(), SlowQuery: time.Nanosecond, Metrics: metrics})
		client := notes(t, db)
		id := trace.TraceID{1, 2, 3}
		ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{4}}))
		for name, test := range map[string]struct {
			run  func() error
			says string
		}{
			"ent writes": {
				func() error { return client.Note.Create().SetID("note_1").SetTitle("hunter2").Exec(ctx) },
				"INSERT INTO ",
			},
			"ent reads": {func() error { _, err := client.Note.Query().All(ctx); return err }, "FROM "},
			"by hand": {
				func() error {
					_, err := db.DB.ExecContext(ctx, "UPDATE notes SET title = $1\n\t WHERE title = 'hunter2'", "hunter2")
					return err
				},
				"UPDATE notes SET title = $1 WHERE title = '…'",
			},
			"prepared": {
				func() error {
					prepared, err := db.DB.PrepareContext(ctx, "SELECT count(*) FROM notes WHERE title = $1")
					if err != nil {
						return err
					}
					defer func() { assert.NoError(t, prepared.Close()) }()
					var n int
					return prepared.QueryRowContext(ctx, "hunter2").Scan(&n)
				},
				"SELECT count(*) FROM notes WHERE title = $1",
			},
			"outbox": {
				func() error {
					tx, err := db.DB.BeginTx(ctx, nil)
					if err != nil {
						return err
					}
					return errors.Join(outbox.New(db, slog.New(slog.DiscardHandler), nil).Append(ctx, tx, "evt_1", []byte("hunter2")), tx.Commit())
				},
				"outbox_events",
			},
		} {
			t.Run(name, func(t *testing.T) {
				// What was said before has used up what may be said at once.
				require.Eventually(t, func() bool {
					before := len(log.all(t))
					_ = test.run()
					for _, line := range log.all(t)[before:] {
						if strings.Contains(line["statement"].(string), test.says) {
							assert.Equal(t, "WARN", line["level"])
							assert.Equal(t, id.String(), line["trace_id"])
							assert.Positive(t, line["duration"])
							assert.NotContains(t, line["statement"], "hunter2")
							return true
						}
					}
					return false
				}, time.Minute, 300*time.Millisecond)
			})
		}
		n, err := testutil.GatherAndCount(metrics, "ashlar_database_slow_queries_total", "go_sql_open_connections", "go_sql_wait_duration_seconds_total")
		require.NoError(t, err)
		assert.Equal(t, 3, n)
	})
}

// A database that is slow does not fill the log; what was left out is counted.
func TestSlowStatementsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		var log lines
		metrics := prometheus.NewRegistry()
		db := open(t, url, database.Observation{Log: log.logger(), SlowQuery: time.Nanosecond, Metrics: metrics})
		began := time.Now()
		const statements = 1000
		for range statements {
			_, err := db.DB.ExecContext(t.Context(), "SELECT 1")
			require.NoError(t, err)
		}
		// 10 at once, and one more each second.
		assert.LessOrEqual(t, len(log.all(t)), 11+int(time.Since(began).Seconds()))
		require.Eventually(t, func() bool {
			_, err := db.DB.ExecContext(t.Context(), "SELECT 2")
			require.NoError(t, err)
			all := log.all(t)
			unsaid, _ := all[len(all)-1]["not_logged_before"].(float64)
			return unsaid > 0
		}, time.Minute, 100*time.Millisecond)
	})
}

func TestFastStatementsAreNotLogged(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		for name, threshold := range map[string]time.Duration{"fast enough": time.Hour, "off": 0} {
			var log lines
			db := open(t, url, database.Observation{Log: log.logger(), SlowQuery: threshold})
			_, err := db.DB.ExecContext(t.Context(), "SELECT 1")
			require.NoError(t, err)
			assert.Empty(t, log.all(t), name)
		}
	})
}
