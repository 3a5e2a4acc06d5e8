package workload

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClusterKeyIsMadeOnceAndReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cluster.key")
	// Several at once, as when services start together: one makes it.
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() { errs[i] = CreateClusterKey(path) })
	}
	wait.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			require.ErrorIs(t, err, fs.ErrExist)
		}
	}
	require.Equal(t, 1, made)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left behind")

	first, err := ReadClusterKey(path)
	require.NoError(t, err)
	second, err := ReadClusterKey(path)
	require.NoError(t, err)
	require.Equal(t, first.Derive("a"), second.Derive("a"))
	require.NotEqual(t, first.Derive("a"), first.Derive("b"), "each purpose has a key of its own")
	require.NotEqual(t, first.Derive("a"), NewClusterKey().Derive("a"))
	require.Len(t, first.Derive("a"), keyBytes)
}

func TestClusterKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(make([]byte, keyBytes))
	for name, test := range map[string]struct {
		content string
		mode    fs.FileMode
		says    string
	}{
		"open to the group": {good, 0o640, "chmod 600"},
		"open to all":       {good, 0o604, "others can read"},
		"too short":         {base64.StdEncoding.EncodeToString(make([]byte, 31)), 0o600, "32 bytes in base64"},
		"too long":          {base64.StdEncoding.EncodeToString(make([]byte, 33)), 0o600, "32 bytes in base64"},
		"no base64":         {"hunter2!" + good, 0o600, "openssl rand -base64 32"},
		"empty":             {"", 0o600, "32 bytes in base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "cluster.key")
			require.NoError(t, os.WriteFile(path, []byte(test.content), test.mode))
			require.NoError(t, os.Chmod(path, test.mode))
			_, err := ReadClusterKey(path)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	missing := filepath.Join(t.TempDir(), "none")
	_, err := ReadClusterKey(missing)
	require.ErrorContains(t, err, missing+" does not exist")
	require.ErrorContains(t, err, "ASHLAR_CLUSTER_KEY_FILE")
	_, err = ReadClusterKey(filepath.Dir(missing))
	require.Error(t, err, "a folder")

	spaced := filepath.Join(t.TempDir(), "spaced")
	require.NoError(t, os.WriteFile(spaced, []byte(strings.Join([]string{"\n ", good, " \n"}, "")), 0o600))
	_, err = ReadClusterKey(spaced)
	require.NoError(t, err, "space around it does not matter")
}
