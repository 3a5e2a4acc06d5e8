package migrate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
)

// A service that is given the address of another one's database leaves it alone.
func TestCheckOwner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		const table = "CREATE TABLE t (n bigint);"
		mine := files(map[string]string{"10_init.sql": table})
		require.NoError(t, migrate.CheckOwner(t.Context(), db, mine), "nothing is there yet")
		require.NoError(t, migrate.Apply(t.Context(), db, mine, quiet))
		require.NoError(t, migrate.CheckOwner(t.Context(), db, mine))
		later := map[string]string{"10_init.sql": table, "30_more.sql": "CREATE TABLE u (n bigint);"}
		require.NoError(t, migrate.CheckOwner(t.Context(), db, files(later)), "a later release")
		require.NoError(t, migrate.Apply(t.Context(), db, files(later), quiet))
		require.NoError(t, migrate.CheckOwner(t.Context(), db, mine), "the release before: whether it is good for this schema others say")

		// Older and newer ones of another service, which has one of the same version by chance.
		another := files(map[string]string{"20_init.sql": table, "30_more.sql": "CREATE TABLE v (n bigint);"})
		err := migrate.CheckOwner(t.Context(), db, another)
		require.ErrorIs(t, err, migrate.ErrForeign)
		require.ErrorContains(t, err, "the first migration of "+db.String()+" is 10")
		require.ErrorContains(t, err, "ASHLAR_DATABASE_URL")
	})
}
