package migratetest

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readable fails where a migration drops an index before it makes one: from the drop to the commit nobody reads the table on
// PostgreSQL, and a large one takes minutes.
func readable(t *testing.T, migrations fs.FS) {
	t.Helper()
	names, err := fs.Glob(migrations, "postgres/*.sql")
	require.NoError(t, err)
	for _, name := range names {
		content, err := fs.ReadFile(migrations, name)
		require.NoError(t, err)
		require.Empty(t, madeAfterDrop(string(content)),
			"%s makes this index while nobody can read the table: drop in a migration of its own, after this one", name)
	}
}

// madeAfterDrop returns the statement that makes an index after another was dropped in the same transaction.
func madeAfterDrop(migration string) string {
	dropped := false
	for line := range strings.Lines(migration) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "DROP INDEX") && !strings.Contains(line, "CONCURRENTLY"):
			dropped = true
		case dropped && (strings.HasPrefix(line, "CREATE INDEX") || strings.HasPrefix(line, "CREATE UNIQUE INDEX")):
			return line
		}
	}
	return ""
}
