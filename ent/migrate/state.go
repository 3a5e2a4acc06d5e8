package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"

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
	// Bytes is how large the database is, or its schema where it has several.
	Bytes int64
}

// Newer says whether the database has been migrated by a later release.
func (s State) Newer() bool { return s.Version > s.Target }

// Inspect returns the state of db. It changes nothing and makes nothing, and
// waits for no lock.
func Inspect(ctx context.Context, db *database.Database, migrations fs.FS) (State, error) {
	var s State
	err := with(ctx, db, migrations, func(pool *sql.DB, provider *goose.Provider) error {
		s.Target = target(provider)
		applied, err := appliedVersions(ctx, db, pool)
		if err != nil {
			return fmt.Errorf("read the migrations of %s: %w", db, err)
		}
		for version := range applied {
			s.Version = max(s.Version, version)
		}
		for _, source := range provider.ListSources() {
			if !applied[source.Version] {
				s.Pending = append(s.Pending, source.Path)
			}
		}
		if s.Bytes, err = db.Bytes(ctx); err != nil {
			return fmt.Errorf("ask for the size of %s: %w", db, err)
		}
		return nil
	})
	return s, err
}

func appliedVersions(ctx context.Context, db *database.Database, pool *sql.DB) (_ map[int64]bool, err error) {
	applied := map[int64]bool{}
	if file := db.File(); file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) { // to open it would make it
			return applied, nil
		}
	}
	if recorded, err := hasTable(ctx, db, pool); err != nil || !recorded {
		return applied, err
	}
	rows, err := pool.QueryContext(ctx, "SELECT version_id FROM "+Table+" WHERE version_id > 0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return nil, err
		}
		applied[version] = true
	}
	return applied, rows.Err()
}
