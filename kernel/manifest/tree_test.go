package manifest_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/manifest"
)

func TestReadTree(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	manifests, faults, err := manifest.ReadTree(fstest.MapFS{
		"services/notes/module.yaml":        file(good),
		"services/people/module.yaml":       file("name: people\nversion: 1.0.0\n"),
		"services/broken/module.yaml":       file("name: broken\n"),
		"services/moved/module.yaml":        file("name: elsewhere\nversion: 1.0.0\n"),
		"services/README.md":                file("Services."),
		"services/notes/deeper/module.yaml": file("no manifest of a service"),
		"services/empty/main.go":            file("package main"),
	})
	require.NoError(t, err)
	require.Len(t, manifests, 2)
	require.Equal(t, "notes", manifests[0].Name)
	require.Equal(t, "services/people/module.yaml:2:10", manifests[1].Place("version").String())
	require.EqualError(t, faults, "services/broken/module.yaml:1:1: the key \"version\" is missing\n"+
		"services/moved/module.yaml:1:7: the module elsewhere is in a folder of the name moved: they must be the same")

	_, _, err = manifest.ReadTree(fstest.MapFS{"proto/a.proto": file("")})
	require.ErrorIs(t, err, fs.ErrNotExist, "no repository")
}
