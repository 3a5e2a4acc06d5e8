package migrate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		first := map[string]string{"1_make.sql": "CREATE TABLE t (n bigint);"}
		more := map[string]string{"1_make.sql": first["1_make.sql"], "2_more.sql": "CREATE TABLE u (n bigint);", "3_even_more.sql": "CREATE TABLE v (n bigint);"}

		state, err := migrate.Inspect(t.Context(), db, files(more))
		require.NoError(t, err)
		assert.Zero(t, state.Version)
		assert.EqualValues(t, 3, state.Target)
		assert.Equal(t, []string{"1_make.sql", "2_more.sql", "3_even_more.sql"}, state.Pending)
		require.ErrorIs(t, migrate.Verify(t.Context(), db, files(more)), migrate.ErrPending, "looking has applied nothing")

		require.NoError(t, migrate.Apply(t.Context(), db, files(first), quiet))
		state, err = migrate.Inspect(t.Context(), db, files(more))
		require.NoError(t, err)
		assert.EqualValues(t, 1, state.Version)
		assert.Equal(t, []string{"2_more.sql", "3_even_more.sql"}, state.Pending)
		assert.Positive(t, state.Bytes)
		assert.False(t, state.Newer())

		require.NoError(t, migrate.Apply(t.Context(), db, files(more), quiet))
		state, err = migrate.Inspect(t.Context(), db, files(first))
		require.NoError(t, err)
		assert.True(t, state.Newer())
		assert.Empty(t, state.Pending)
	})
}

// One that came later with an earlier number, from another branch of work.
func TestInspectFindsGaps(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		require.NoError(t, migrate.Apply(t.Context(), db, files(map[string]string{"2_b.sql": "CREATE TABLE b (n bigint);"}), quiet))
		state, err := migrate.Inspect(t.Context(), db, files(map[string]string{"1_a.sql": "CREATE TABLE a (n bigint);", "2_b.sql": "CREATE TABLE b (n bigint);"}))
		require.NoError(t, err)
		assert.EqualValues(t, 2, state.Version)
		assert.Equal(t, []string{"1_a.sql"}, state.Pending)
	})
}

func TestInspectMakesNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.db")
	db, err := database.New(config.Secret("sqlite://" + path))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	state, err := migrate.Inspect(t.Context(), db, files(map[string]string{"1_make.sql": "CREATE TABLE t (n bigint);"}))
	require.NoError(t, err)
	assert.Equal(t, []string{"1_make.sql"}, state.Pending)
	assert.Zero(t, state.Bytes)
	_, err = os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}
