package migrations_test

import (
	"testing"

	"ashlar.dev/ent/migrate/migratetest"
	schema "ashlar.dev/services/identity/ent/migrate"
	"ashlar.dev/services/identity/migrations"
)

func TestParity(t *testing.T) { migratetest.Parity(t, migrations.FS, schema.Tables) }
