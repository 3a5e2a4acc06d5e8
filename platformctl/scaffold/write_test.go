package scaffold

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A step fails when others are done already: they are undone.
func TestAFailureHalfWay(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.work"), []byte("as it was"), 0o644))
	err := write(t.Context(), root, []string{"services/orders"}, files{"services/orders/go.mod": []byte("new")},
		files{"go.work": []byte("changed"), "missing/go.mod": []byte("there is nothing to change")})
	require.ErrorContains(t, err, "nothing was written")
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	text, err := os.ReadFile(filepath.Join(root, "go.work"))
	require.NoError(t, err)
	require.Equal(t, "as it was", string(text))
}

// What somebody else made meanwhile is not overwritten.
func TestSomebodyElseWasFaster(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "services/orders"), 0o755))
	err := write(t.Context(), root, []string{"services/orders"}, files{"services/orders/go.mod": []byte("new")}, nil)
	require.ErrorContains(t, err, "appeared meanwhile")
	entries, err := os.ReadDir(filepath.Join(root, "services/orders"))
	require.NoError(t, err)
	require.Empty(t, entries)
}
