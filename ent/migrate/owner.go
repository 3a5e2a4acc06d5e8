package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"ashlar.dev/ent/database"
)

// ErrForeign says that another service's migrations have made the database.
var ErrForeign = errors.New("the database is another service's")

// CheckOwner says whether db may be used by the program that has these migrations: nothing was applied to it yet, or the
// first that was is one of them. All releases of a service have its first migration, and no two services have the same.
// Without this a service that is given the address of another's database would take that one's versions for its own. The
// error is [ErrForeign]. It changes nothing, and makes nothing.
func CheckOwner(ctx context.Context, db *database.Database, migrations fs.FS) error {
	return with(ctx, db, migrations, func(s *session) error {
		applied, err := readRows(ctx, db, s.pool)
		if err != nil {
			return fmt.Errorf("read the migrations of %s: %w", db, err)
		}
		first := int64(0)
		for _, r := range applied {
			if first == 0 || r.version < first {
				first = r.version
			}
		}
		known := slices.ContainsFunc(s.files, func(f file) bool { return f.version == first })
		if first != 0 && !known {
			return fmt.Errorf("%w: the first migration of %s is %d, and this program has none of that version: each service needs a file or a schema of its own: correct ASHLAR_DATABASE_URL (or the file that ASHLAR_DATABASE_URL_FILE names)", ErrForeign, db, first)
		}
		return nil
	})
}
