package service_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/pgserver"
	"ashlar.dev/kernel/health"
)

// PostgreSQL ends and comes back: whoever asks whether the service is ready is told so, and calls that need no database
// go on, because the service stays where callers find it.
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	server, address := dbtest.Server(t, pgserver.Options{})
	w := newWorld(t)
	w.cfg.DatabaseURL = address
	w.appear("identity", "authz")
	_, err := w.start()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // a server that has crashed takes its time to come back
	defer cancel()
	watch, err := connect.NewClient(w.env.Hub.Transport("notes")).CallServerStream(ctx, health.WatchSpec(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	next := func(want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		var res healthv1.HealthCheckResponse
		require.NoError(t, watch.Receive(&res))
		require.Equal(t, want, res.GetStatus())
	}
	next(healthv1.HealthCheckResponse_SERVING)
	up := func() string {
		_, metrics := w.get("/metrics")
		return metrics
	}
	require.Contains(t, up(), "ashlar_database_up 1")

	for _, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Immediate} {
		require.NoError(t, server.Halt(t.Context(), mode))
		begun := time.Now()
		next(healthv1.HealthCheckResponse_NOT_SERVING)
		t.Logf("%s: it is not ready after %s", mode, time.Since(begun))
		why := w.until(503, "it cannot be reached: start it")
		require.Contains(t, why, "database: open the PostgreSQL database postgres at")
		require.NotContains(t, why, address.Reveal())
		require.Contains(t, up(), "ashlar_database_up 0")
		code, body := w.get("/readyz?exclude=database")
		require.Equal(t, 200, code, body)
		_, err = w.client().LookupAccount(t.Context(), lookup)
		require.NoError(t, err, "a call that needs no database")
		require.Len(t, w.instances("notes"), 1)

		require.NoError(t, server.Resume(t.Context()))
		begun = time.Now()
		next(healthv1.HealthCheckResponse_SERVING)
		t.Logf("%s: it is ready %s after the database is back", mode, time.Since(begun))
		w.until(200, "ready")
		require.Eventually(t, func() bool { return strings.Contains(up(), "ashlar_database_up 1") }, time.Minute, time.Millisecond)
	}
	require.Contains(t, w.logs.String(), "the database is away")
	require.Contains(t, w.logs.String(), "the database is there again")
}

// A SQLite file that somebody takes away is missed, though the process could go on writing to it.
func TestTheFileIsTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := dbtest.Open(t, w.cfg.DatabaseURL)
	w.appear("identity", "authz")
	_, err := w.start()
	require.NoError(t, err)
	w.until(200, "ready")
	require.NoError(t, os.Rename(db.File(), db.File()+".away"))
	w.until(503, "the file is not there any more")
	require.NoError(t, os.Rename(db.File()+".away", db.File()))
	w.until(200, "ready")
}
