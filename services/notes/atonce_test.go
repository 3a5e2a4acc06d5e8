package notes_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
)

// Many change one note at the same moment, each in a transaction of its own: none overwrites another unseen, and no bound
// is passed together.
func TestChangesAtOnce(t *testing.T) { dbtest.EachURL(t, changesAtOnce) }

func changesAtOnce(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	w.Allow("usr_ada", read, "org_acme")
	w.Allow("usr_ada", write, "org_acme")
	ada := as(w, "usr_ada")
	const crowd = 8
	atOnce := func(do func(i int) error) []string {
		reasons := make([]string, crowd)
		var everybody sync.WaitGroup
		for i := range crowd {
			everybody.Go(func() {
				if err := do(i); err != nil {
					reasons[i] = rpcerror.Reason(err)
				}
			})
		}
		everybody.Wait()
		return slices.DeleteFunc(reasons, func(reason string) bool { return reason == "" })
	}
	allButOne := func(reason string) []string { return slices.Repeat([]string{reason}, crowd-1) }

	// One request, sent again by a client that got no answer: one note.
	ids := make([]string, crowd)
	require.Empty(t, atOnce(func(i int) error {
		created, err := ada.CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: "One", RequestId: "once"})
		ids[i] = created.GetNote().GetId()
		return err
	}))
	require.Len(t, slices.Compact(ids), 1)

	require.Equal(t, allButOne("NOTE_CHANGED"), atOnce(func(int) error {
		_, err := ada.UpdateNote(ctx, update("org_acme", ids[0], 1, "title"))
		return err
	}))
	require.Empty(t, atOnce(func(int) error {
		_, err := ada.UpdateNote(ctx, update("org_acme", ids[0], 0, "title"))
		return err
	}))
	found, err := ada.GetNote(ctx, &notesv1.GetNoteRequest{OrganizationId: "org_acme", NoteId: ids[0]})
	require.NoError(t, err)
	require.EqualValues(t, 2+crowd, found.GetNote().GetVersion())

	share := func(i int) error {
		_, err := ada.ShareNote(ctx, &notesv1.ShareNoteRequest{OrganizationId: "org_acme", NoteId: ids[0], UserId: fmt.Sprintf("usr_%d", i)})
		return err
	}
	for i := range 99 {
		require.NoError(t, share(i))
	}
	require.Equal(t, allButOne("TOO_MANY_SHARES"), atOnce(func(i int) error { return share(100 + i) }))

	require.Equal(t, allButOne("NOTE_NOT_FOUND"), atOnce(func(int) error {
		_, err := ada.DeleteNote(ctx, &notesv1.DeleteNoteRequest{OrganizationId: "org_acme", NoteId: ids[0]})
		return err
	}))
}
