package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"ashlar.dev/ent/database"
)

// State is how a database stands to the migrations of a binary.
type State struct {
	// Version is the newest version that was applied; 0 where none was.
	Version int64
	// Target is the newest version that the binary has.
	Target int64
	// Pending are the files of the migrations that were not applied, in order.
	Pending []string
	// Refusal is why the binary does not start on the database, and would not after
	// the pending migrations either: [ErrNewer] or [ErrEdited]; nil where it does.
	Refusal error
	// Bytes is how large the database is, or its schema where it has several.
	Bytes int64
}

// Newer says whether the database has been migrated by a later release. The
// binary may be able to work with it: see Refusal.
func (s State) Newer() bool { return s.Version > s.Target }

// Inspect returns the state of db. It changes nothing and makes nothing, and
// waits for no lock. The error is [ErrForeign] where the database is another
// service's: its state says nothing then.
func Inspect(ctx context.Context, db *database.Database, migrations fs.FS) (State, error) {
	var state State
	err := with(ctx, db, migrations, func(s *session) error {
		standing, err := s.compare(ctx)
		if err != nil && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrEdited) {
			return err
		}
		state.Refusal = err
		state.Version, state.Target = standing.current, standing.target
		for _, f := range standing.pending {
			state.Pending = append(state.Pending, f.name)
		}
		if state.Bytes, err = db.Bytes(ctx); err != nil {
			return fmt.Errorf("ask for the size of %s: %w", db, err)
		}
		return nil
	})
	return state, err
}
