package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/pgserver"
)

// newService makes a module with the schema of ent's example.
func newService(t *testing.T) string {
	t.Helper()
	ent, err := filepath.Abs("../../ent")
	require.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "notes")
	require.NoError(t, os.CopyFS(filepath.Join(folder, schemaFolder), os.DirFS(filepath.Join(ent, "internal/example", schemaFolder))))
	sum, err := os.ReadFile(filepath.Join(ent, "go.sum"))
	require.NoError(t, err)
	write(t, filepath.Join(folder, "go.sum"), string(sum))
	write(t, filepath.Join(folder, "go.mod"), `module example.org/notes

go 1.26.0

require (
	ashlar.dev/ent v0.0.0
	entgo.io/ent v0.14.5
)

replace (
	ashlar.dev/ent => `+ent+`
	ashlar.dev/gen => `+filepath.Join(ent, "../gen")+`
	ashlar.dev/kernel => `+filepath.Join(ent, "../kernel")+`
)
`)
	return folder
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

// edit replaces text in a file.
func edit(t *testing.T, path, before, after string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), before)
	write(t, path, strings.Replace(string(content), before, after, 1))
}

// tree is the content of all files of a folder.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		files[name] = string(content)
		return err
	}))
	return files
}

// A service from its first schema to a contracted one.
func TestLifeOfASchema(t *testing.T) {
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "-mod=mod")
	server, err := pgserver.Start(t.Context())
	if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })

	folder := newService(t)
	// Formatting asks the go command about the working directory, and -mod=mod lets it write go.sum there.
	t.Chdir(folder)
	generate := func() {
		t.Helper()
		require.NoError(t, (&generateCommand{Folders: []string{folder}}).Run())
	}
	diff := func(command diffCommand) error {
		command.PostgresDSN, command.Folders = server.URL("postgres"), []string{folder}
		return command.Run(t.Context())
	}
	// written returns the migrations that command writes, by dialect.
	written := func(command diffCommand) map[string]string {
		t.Helper()
		before := tree(t, folder)
		require.NoError(t, diff(command))
		found := map[string]string{}
		for name, content := range tree(t, folder) {
			if _, old := before[name]; !old && strings.HasSuffix(name, ".sql") {
				assert.True(t, strings.HasSuffix(name, "_"+command.Name+".sql"), name)
				found[filepath.Base(filepath.Dir(name))] = content
			}
		}
		return found
	}

	// Generating twice changes nothing, and the code compiles.
	generate()
	first := tree(t, folder)
	generate()
	assert.Equal(t, first, tree(t, folder))
	build := exec.CommandContext(t.Context(), "go", "build", "./...")
	build.Dir = folder
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	// A migration for each dialect, and then none.
	require.ErrorContains(t, diff(diffCommand{Check: true}), "migrations are missing")
	require.ErrorContains(t, diff(diffCommand{Name: "Not a name"}), "lower-case")
	initial := written(diffCommand{Name: "initial"})
	assert.Len(t, initial, 2)
	for dialect, content := range initial {
		assert.True(t, strings.HasPrefix(content, "-- +goose Up\n"), dialect)
		assert.NotContains(t, content, "goose Down")
	}
	assert.Empty(t, written(diffCommand{Name: "again"}))
	require.NoError(t, diff(diffCommand{Check: true}))

	// A type goes: its code goes, and nothing else.
	schema := filepath.Join(folder, schemaFolder)
	write(t, filepath.Join(folder, "ent/byhand.go"), "package ent\n")
	write(t, filepath.Join(schema, "tag.go"), `package schema

import (
	"entgo.io/ent"

	"ashlar.dev/ent/mixin"
)

// Tag comes and goes.
type Tag struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Tag) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}} }
`)
	generate()
	assert.FileExists(t, filepath.Join(folder, "ent/tag/tag.go"))
	require.NoError(t, os.Remove(filepath.Join(schema, "tag.go")))
	generate()
	assert.NoDirExists(t, filepath.Join(folder, "ent/tag"))
	assert.NoFileExists(t, filepath.Join(folder, "ent/tag_query.go"))
	assert.FileExists(t, filepath.Join(folder, "ent/byhand.go"))
	require.NoError(t, os.Remove(filepath.Join(folder, "ent/byhand.go")))

	// A broken schema leaves the code as it was.
	before := tree(t, filepath.Join(folder, "ent"))
	write(t, filepath.Join(schema, "broken.go"), "package schema\n\nvar x int = \"\"\n")
	require.Error(t, (&generateCommand{Folders: []string{folder}}).Run())
	require.NoError(t, os.Remove(filepath.Join(schema, "broken.go")))
	assert.Equal(t, before, tree(t, filepath.Join(folder, "ent")))

	// Expand.
	note := filepath.Join(schema, "note.go")
	edit(t, note, `field.String("body").Default(""),`, `field.String("body").Default(""),
		field.String("color").Optional().Nillable(),`)
	for dialect, content := range written(diffCommand{Name: "note_color"}) {
		assert.Contains(t, content, "ADD COLUMN", dialect)
	}

	// Contract: not by accident.
	edit(t, note, `field.String("body").Default(""),`, "")
	assert.Empty(t, written(diffCommand{Name: "drop_body"}))
	contracted := written(diffCommand{Name: "drop_body", AllowDestructive: true})
	assert.Contains(t, contracted["postgres"], `DROP COLUMN "body"`)
	assert.Contains(t, contracted["sqlite"], "notes")
	assert.NotContains(t, strings.ToLower(contracted["sqlite"]), "pragma")
	// Nor without saying why.
	require.ErrorContains(t, diff(diffCommand{Check: true}), "2 findings")
	dropped, err := filepath.Glob(filepath.Join(folder, "migrations/*/*_drop_body.sql"))
	require.NoError(t, err)
	require.Len(t, dropped, len(dialects))
	for _, file := range dropped {
		edit(t, file, "-- +goose Up\n", "-- +goose Up\n-- ashlar:contract: nobody reads bodies\n")
	}
	require.NoError(t, (&hashCommand{Folders: []string{folder}}).Run())
	require.NoError(t, diff(diffCommand{Check: true}))

	// An edited migration is found out.
	edited, err := filepath.Glob(filepath.Join(folder, "migrations/sqlite/*_initial.sql"))
	require.NoError(t, err)
	edit(t, edited[0], "-- +goose Up\n", "-- +goose Up\n-- edited\n")
	require.ErrorContains(t, diff(diffCommand{Check: true}), "ashlar-ent hash")
	require.NoError(t, (&hashCommand{Folders: []string{folder}}).Run())
	require.NoError(t, diff(diffCommand{Check: true}))
}

func TestNotAService(t *testing.T) {
	require.ErrorContains(t, (&generateCommand{Folders: []string{t.TempDir()}}).Run(), "name folders of services")
}

func TestPostgresDSNIsNotShown(t *testing.T) {
	command := diffCommand{Name: "x", PostgresDSN: "postgres://u:hunter2@host:port/db", Folders: []string{"."}}
	err := command.Run(t.Context())
	require.ErrorContains(t, err, "--postgres-dsn")
	assert.NotContains(t, err.Error(), "hunter2")
}
