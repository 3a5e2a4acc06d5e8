package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
)

func TestReadSecretFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "secret")
	_, err := config.ReadSecretFile(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, path+" does not exist")
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
		says    string
	}{
		"good":            {"hunter2\r\n\n", 0o600, "hunter2", ""},
		"read-only":       {" hunter2", 0o400, " hunter2", ""},
		"empty":           {"\n", 0o600, "", ""},
		"open to a group": {"hunter2", 0o640, "", "others can read"},
		"open to all":     {"hunter2", 0o604, "", "others can read"},
		"large":           {strings.Repeat("hunter2", 1000), 0o600, "", "more than 4096 bytes"},
	} {
		path := filepath.Join(folder, strings.ReplaceAll(name, " ", "-"))
		require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
		require.NoError(t, os.Chmod(path, test.mode))
		secret, err := config.ReadSecretFile(path)
		if test.says != "" {
			require.ErrorContains(t, err, test.says, name)
			require.NotContains(t, err.Error(), "hunter2", name)
			require.Empty(t, secret.Reveal(), name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.want, secret.Reveal(), name)
	}
	require.NoError(t, os.Chmod(folder, 0o700))
	_, err = config.ReadSecretFile(folder)
	require.ErrorContains(t, err, "not a regular file")
	require.False(t, errors.Is(err, fs.ErrNotExist))
}
