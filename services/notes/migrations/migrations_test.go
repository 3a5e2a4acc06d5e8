package migrations_test

import (
	"testing"

	"ashlar.dev/ent/migrate/migratetest"
	schema "ashlar.dev/services/notes/ent/migrate"
	"ashlar.dev/services/notes/migrations"
)

func TestParity(t *testing.T) { migratetest.Parity(t, migrations.FS, schema.Tables, "note_words") }
