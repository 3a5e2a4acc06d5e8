package notes_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
)

// The disk of a running service gets full, and has space again: changes fail as what may succeed later, reads go on,
// nothing is damaged or lost, and nobody restarts anything.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	dbtest.EachSmallDisk(t, func(t *testing.T, disk *dbtest.SmallDisk) {
		ctx, w := t.Context(), start(t, disk.URL())
		w.Allow("usr_ada", read, "org_acme")
		w.Allow("usr_ada", write, "org_acme")
		ada := as(w, "usr_ada")
		var kept []string
		create := func() error {
			created, err := ada.CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: "One", Body: strings.Repeat("words ", 1000)})
			if err == nil {
				kept = append(kept, created.GetNote().GetId())
			}
			return err
		}
		require.NoError(t, create())
		w.AwaitEvent(servicetest.Action("note.create"))
		disk.Fill(t)
		// What delivered events have taken is free again, so some more may fit.
		var err error
		for err = create(); err == nil && len(kept) < 1000; err = create() {
		}
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "%v", err)
		require.Equal(t, rpcerror.ReasonServiceUnavailable, rpcerror.Reason(err))
		_, err = ada.GetNote(ctx, &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: kept[0]})
		require.NoError(t, err, "reads go on")

		disk.Free(t)
		require.NoError(t, create())
		for _, id := range kept {
			_, err := ada.GetNote(ctx, &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: id})
			require.NoError(t, err, "what was acknowledged is there")
		}
		db := dbtest.Open(t, disk.URL())
		var whole string
		require.NoError(t, db.DB.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&whole))
		require.Equal(t, "ok", whole)
	})
}

// The disk of PostgreSQL gets full under load, that of its tables or that of its write-ahead log, and has space again:
// changes fail as what may succeed later, the service says that it is not ready, reads go on where the server does, what was
// acknowledged is there once, and the service goes on by itself.
func TestAFullDiskOfPostgres(t *testing.T) {
	t.Parallel()
	dbtest.EachSmallServer(t, func(t *testing.T, server *dbtest.SmallServer) {
		t.Parallel()
		w := start(t, server.URL)
		ready := watchHealth(t, w)
		ready(healthv1.HealthCheckResponse_SERVING)
		all := startWriters(t, w, 20_000)
		kept := create(t, as(w, "usr_ada"), "Kept", "")
		all.done.Add(1)
		all.more(&all.done, clients)

		server.Fill(t)
		all.more(&all.failed, 20)
		ready(healthv1.HealthCheckResponse_NOT_SERVING)
		if server.Holds == dbtest.Tables {
			_, err := as(w, "usr_ada").GetNote(t.Context(), &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: kept})
			require.NoError(t, err, "reads go on")
		} else {
			require.NoError(t, server.AwaitEnd(t.Context()))
		}

		server.Free(t)
		if server.Holds == dbtest.Log { // what supervises a server does that
			require.NoError(t, server.Resume(t.Context()))
		}
		begun := time.Now()
		all.more(&all.done, clients)
		t.Logf("calls succeed %s after there is space", time.Since(begun))
		all.stop() // they would fill the disk themselves
		ready(healthv1.HealthCheckResponse_SERVING)
		t.Logf("it is ready %s after there is space", time.Since(begun))
		all.settle(server.URL)
	})
}

// watchHealth returns what waits until the service says so of itself.
func watchHealth(t *testing.T, w *servicetest.World) (await func(healthv1.HealthCheckResponse_ServingStatus)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	stream, err := w.Anonymous("notes").CallServerStream(ctx, health.WatchSpec(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	return func(want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for got := healthv1.HealthCheckResponse_UNKNOWN; got != want; {
			var res healthv1.HealthCheckResponse
			require.NoError(t, stream.Receive(&res))
			got = res.GetStatus()
		}
	}
}
