package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTableIsStraightWithAndWithoutColors(t *testing.T) {
	rows := []row{
		{process: "consul", state: "ready", address: "127.0.0.1:8500"},
		{process: "identity", state: "starting", address: "127.0.0.1:41231", pid: 4711, took: 1234 * time.Millisecond},
	}
	want := "" +
		"SERVICE   STATE     ADDRESS          PID   TOOK\n" +
		"consul    ready     127.0.0.1:8500   -     -\n" +
		"identity  starting  127.0.0.1:41231  4711  1.2s\n"
	for _, color := range []bool{false, true} {
		var out strings.Builder
		c := &console{person: &out, color: color}
		c.table(rows)
		require.Equal(t, color, strings.Contains(out.String(), "\x1b"))
		require.Equal(t, want, strings.NewReplacer(plain, "", green, "", reset, "").Replace(out.String()))
	}
}

func TestColorsAreForTerminals(t *testing.T) {
	var out strings.Builder
	require.False(t, newConsole(&out, nil).color)
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	require.False(t, newConsole(file, nil).color)
}

func TestTailIsForPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	before := "of the run before\n"
	text := before + `{"time":"2026-01-02T03:04:05Z","level":"WARN","msg":"slow","service":"auth","took":2,"id":12345678901234567890}` + "\n" + "panic: no JSON\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.Equal(t, []string{"WARN  slow  id=12345678901234567890  took=2", "panic: no JSON"}, tail(path, int64(len(before))))

	var long strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	require.NoError(t, os.WriteFile(path, []byte(long.String()), 0o600))
	lines := tail(path, 0)
	require.Len(t, lines, tailLines)
	require.Equal(t, "line 9999", lines[tailLines-1])
	require.Contains(t, tail(filepath.Join(t.TempDir(), "none"), 0)[0], "no such file")
}

func TestBrief(t *testing.T) {
	require.Empty(t, brief("starting or stopping"))
	require.Equal(t, "database: opening SQLite x", brief("database: opening\nSQLite x; starting or stopping"))
}
