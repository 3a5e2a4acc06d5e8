// Package migratetest holds the migrations of a service against its ent schema.
package migratetest

import (
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"testing"

	atlas "ariga.io/atlas/sql/schema"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
)

// Parity fails where a database that migrations have made is not what the ent
// schema wants, in either dialect: columns, their types, whether they may be
// empty, their defaults, indexes and foreign keys. byHand names the indexes and
// the columns (table.column) that are there beside the schema. It fails, too, where
// a migration keeps PostgreSQL's readers out while it makes an index.
func Parity(t *testing.T, migrations fs.FS, tables []*schema.Table, byHand ...string) {
	t.Helper()
	readable(t, migrations)
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		require.NoError(t, migrate.Apply(t.Context(), db, migrations, slog.New(slog.DiscardHandler)))
		differences := []string{}
		record := func(next schema.Differ) schema.Differ {
			return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
				changes, err := next.Diff(current, desired)
				for _, change := range changes {
					differences = append(differences, describe(change, byHand)...)
				}
				return nil, err // nothing is changed
			})
		}
		copied, err := schema.CopyTables(tables)
		require.NoError(t, err)
		differ, err := schema.NewMigrate(entsql.OpenDB(db.Dialect, db.DB), schema.WithDropColumn(true), schema.WithDropIndex(true), schema.WithDiffHook(record))
		require.NoError(t, err)
		require.NoError(t, differ.Create(t.Context(), copied...))
		require.Empty(t, differences, "the migrated database is not what the schema wants: task migrate:diff NAME=…")
	})
}

// describe says what a change would do to the database.
func describe(change atlas.Change, byHand []string) []string {
	modify, ok := change.(*atlas.ModifyTable)
	if !ok {
		if add, ok := change.(*atlas.AddTable); ok {
			return []string{"the table " + add.T.Name + " is missing"}
		}
		return []string{fmt.Sprintf("%T", change)}
	}
	var said []string
	for _, part := range modify.Changes {
		what, name := fmt.Sprintf("%T", part), ""
		switch part := part.(type) {
		case *atlas.AddColumn:
			name = modify.T.Name + "." + part.C.Name
		case *atlas.DropColumn:
			name = modify.T.Name + "." + part.C.Name
		case *atlas.ModifyColumn:
			name = modify.T.Name + "." + part.To.Name
		case *atlas.AddIndex:
			name = part.I.Name
		case *atlas.DropIndex:
			name = part.I.Name
		case *atlas.ModifyIndex:
			name = part.To.Name
		}
		if !slices.Contains(byHand, name) {
			said = append(said, fmt.Sprintf("%s: %s %s", modify.T.Name, what, name))
		}
	}
	return said
}
