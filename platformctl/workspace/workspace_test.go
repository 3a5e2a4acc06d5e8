package workspace_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/workspace"
)

// repository lays out a repository whose services depend on each other as given.
func repository(t *testing.T, services map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	write(t, root, "go.work", "go 1.26.0\n")
	require.NoError(t, os.Mkdir(filepath.Join(root, "services"), 0o755))
	for name, dependsOn := range services {
		write(t, root, "services/"+name+"/module.yaml", "name: "+name+"\nversion: 1.0.0\ndependsOn: ["+dependsOn+"]\n")
	}
	return root
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func TestTheRepositoryIsFoundFromWithinAndByName(t *testing.T) {
	root := repository(t, map[string]string{"notes": ""})
	elsewhere := t.TempDir()

	t.Chdir(filepath.Join(root, "services", "notes"))
	found, err := workspace.Find("")
	require.NoError(t, err)
	require.Equal(t, root, found)

	t.Chdir(elsewhere)
	found, err = workspace.Find(root)
	require.NoError(t, err)
	require.Equal(t, root, found)
	_, err = workspace.Find("")
	require.ErrorContains(t, err, "--root or ASHLAR_ROOT")
	require.ErrorContains(t, err, elsewhere)
	_, err = workspace.Find(elsewhere)
	require.ErrorContains(t, err, "is no repository of a platform")
}

func TestAFolderIsAService(t *testing.T) {
	t.Parallel()
	root := repository(t, map[string]string{"notes": "identity", "identity": ""})
	write(t, root, "services/README.md", "")
	write(t, root, "services/gone/ent/left.go", "package ent\n")
	w, err := workspace.Open(root)
	require.NoError(t, err)
	require.Equal(t, []string{"identity", "notes"}, w.Names())
	notes, ok := w.Find("notes")
	require.True(t, ok)
	require.Equal(t, "identity", notes.Manifest.DependsOn[0].Name)
	_, ok = w.Find("orders")
	require.False(t, ok)
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	root := repository(t, map[string]string{"identity": ""})
	write(t, root, "services/notes/module.yaml", "name: notes\nversion: one\n")
	write(t, root, "services/orders/module.yaml", "name: order\nversion: 1.0.0\n")
	write(t, root, "services/bills/cmd/bills/main.go", "package main\n")
	_, err := workspace.Open(root)
	for _, says := range []string{
		"services/notes/module.yaml:2:10: version", "the module order is in a folder of the name orders", "services/bills/module.yaml is missing",
	} {
		require.ErrorContains(t, err, says)
	}
}

// The repository itself.
func TestThisRepository(t *testing.T) {
	t.Parallel()
	root, err := workspace.Find("")
	require.NoError(t, err)
	w, err := workspace.Open(root)
	require.NoError(t, err)
	require.Subset(t, w.Names(), []string{"audit", "auth", "authz", "identity"})
	require.Len(t, w.Manifests(), len(w.Services))
}
