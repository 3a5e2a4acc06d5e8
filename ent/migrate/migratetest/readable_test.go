package migratetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMadeAfterDrop(t *testing.T) {
	t.Parallel()
	const create, drop = "CREATE INDEX b ON t (b);", "DROP INDEX a;"
	for migration, want := range map[string]string{
		create + "\n" + drop: "",
		drop:                 "",
		drop + "\n-- create index\n" + create + "\n":      create,
		drop + "\nCREATE UNIQUE INDEX b ON t (b);\n":      "CREATE UNIQUE INDEX b ON t (b);",
		"DROP INDEX CONCURRENTLY IF EXISTS b;\n" + create: "",
		"ALTER TABLE t ADD COLUMN b bigint;\n" + create:   "",
	} {
		assert.Equal(t, want, madeAfterDrop(migration), migration)
	}
}
