package migrate_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/migrations"
	"ashlar.dev/ent/migrate"
)

// A program that was built from migrations that atlas.sum does not know.
func TestEmbeddedChecksums(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		edited := fstest.MapFS{}
		require.NoError(t, fs.WalkDir(migrations.FS, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(migrations.FS, name)
			edited[name] = &fstest.MapFile{Data: content}
			return err
		}))
		require.NoError(t, migrate.Apply(t.Context(), db, edited, quiet))
		for _, dialect := range []string{"sqlite", "postgres"} {
			edited[dialect+"/99999999999999_new.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE t (n bigint);\n")}
		}
		require.ErrorContains(t, migrate.Apply(t.Context(), db, edited, quiet), "ashlar-ent hash")
		require.ErrorContains(t, migrate.Verify(t.Context(), db, edited), "atlas.sum")
	})
}
