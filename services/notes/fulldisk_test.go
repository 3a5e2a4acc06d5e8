package notes_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
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
