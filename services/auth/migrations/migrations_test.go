package migrations_test

import (
	"testing"

	"ashlar.dev/ent/migrate/migratetest"
	schema "ashlar.dev/services/auth/ent/migrate"
	"ashlar.dev/services/auth/migrations"
)

func TestParity(t *testing.T) { migratetest.Parity(t, migrations.FS, schema.Tables) }
