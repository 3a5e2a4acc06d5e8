package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Rows are read into the same places only where everything is copied out of them.
func TestWhichRowsAreReadIntoTheSamePlaces(t *testing.T) {
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "-mod=mod")
	folder := newService(t)
	t.Chdir(folder)
	write(t, filepath.Join(folder, schemaFolder, "kept.go"), `package schema

import (
	"net/url"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Nillable has bytes that can be nil: the entity points to their place.
type Nillable struct{ ent.Schema }

func (Nillable) Fields() []ent.Field {
	return []ent.Field{field.Bytes("content").Optional().Nillable()}
}

// Scanned has a value that reads itself.
type Scanned struct{ ent.Schema }

func (Scanned) Fields() []ent.Field {
	return []ent.Field{field.String("address").GoType(&url.URL{}).ValueScanner(field.BinaryValueScanner[*url.URL]{})}
}
`)
	require.NoError(t, (&generateCommand{Folders: []string{folder}}).Run())
	for entity, same := range map[string]bool{"note": true, "outboxevent": true, "nillable": false, "scanned": false} {
		code, err := os.ReadFile(filepath.Join(folder, "ent", entity+"_query.go"))
		require.NoError(t, err)
		if same {
			require.Contains(t, string(code), "scan.Reuse(_spec.ScanValues)", entity)
		} else {
			require.NotContains(t, string(code), "/scan\"", entity)
		}
	}
}
