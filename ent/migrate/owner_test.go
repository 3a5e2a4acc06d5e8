package migrate_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
)

// A service that is given the address of another one's database leaves it alone.
func TestAnotherServicesDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		own := func(migrations fs.FS, why string) {
			state, err := migrate.Inspect(t.Context(), db, migrations)
			require.NoError(t, err, why)
			require.NoError(t, state.Refusal, why)
		}
		const table = "CREATE TABLE t (n bigint);"
		mine := files(map[string]string{"10_init.sql": table})
		own(mine, "nothing is there yet")
		require.NoError(t, migrate.Apply(t.Context(), db, mine, quiet))
		own(mine, "the same release")
		later := files(map[string]string{"10_init.sql": table, "30_more.sql": "CREATE TABLE u (n bigint);"})
		own(later, "a later release")
		require.NoError(t, migrate.Apply(t.Context(), db, later, quiet))
		own(mine, "the release before")

		// Older and newer ones of another service, which has one of the same version by chance.
		another := files(map[string]string{"20_init.sql": table, "30_more.sql": "CREATE TABLE v (n bigint);"})
		_, looked := migrate.Inspect(t.Context(), db, another)
		for _, err := range []error{looked, migrate.Verify(t.Context(), db, another), migrate.Apply(t.Context(), db, another, quiet)} {
			require.ErrorIs(t, err, migrate.ErrForeign)
			require.ErrorContains(t, err, "the first migration of "+db.String()+" is 10")
			require.ErrorContains(t, err, "ASHLAR_DATABASE_URL")
		}
	})
}
