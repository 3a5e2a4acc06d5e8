package services

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/output"
)

// program makes a folder with an ashlar-dev that is a shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	// A process that another test starts meanwhile would inherit the open file for a moment, and nobody could run it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(filepath.Join(dir, loaderName), []byte("#!/bin/sh\n"+script), 0o700))
	return dir
}

func TestTestLoadShowsWhatWasReported(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	bin := program(t, `[ "$*" = "test-load -o json --timeout 0s notes" ] || exit 9
echo '{"ready":true,"tookMs":812.4,"stopMs":40,"services":[{"name":"authz","version":"1.0.0","rank":0,"after":[],"state":"ready","order":1,"begunMs":1,"readyMs":300.4,"busyMs":299,"stopMs":20},{"name":"notes","rank":1,"after":["authz"],"state":"ready","order":2,"begunMs":1,"readyMs":800,"busyMs":400,"stopMs":10}]}'`)
	err := (&TestLoad{Names: []string{"notes"}, Bin: bin}).Run(t.Context(), &output.Streams{Out: &out, Err: io.Discard})
	require.NoError(t, err)
	require.Equal(t, `ORDER  SERVICE  VERSION  RANK  AFTER  STATE  BEGUN  READY   BUSY    STOP
1      authz    1.0.0    0     -      ready  1 ms   300 ms  299 ms  20 ms
2      notes    -        1     authz  ready  1 ms   800 ms  400 ms  10 ms
`, out.String())
}

func TestTestLoadThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ script, says string }{
		"a service":   {`echo '{"error":"notes: no table","services":[{"name":"notes","after":[],"state":"failed"}]}'; exit 1`, "not everything was ready: notes: no table"},
		"a stop":      {`echo '{"ready":true,"services":[{"name":"notes","after":[],"state":"ready","stopErrors":["notes/server: late"]}]}'; exit 1`, "notes/server: late"},
		"no report":   {`echo what >&2; exit 3`, "did not report"},
		"exit status": {`echo '{"ready":true,"services":[]}'; exit 3`, "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := (&TestLoad{Bin: program(t, test.script)}).Run(t.Context(), &output.Streams{Out: io.Discard, Err: io.Discard})
			require.ErrorContains(t, err, test.says)
		})
	}
	err := (&TestLoad{Bin: t.TempDir()}).Run(t.Context(), &output.Streams{Out: io.Discard, Err: io.Discard})
	require.ErrorContains(t, err, "ashlar-dev is missing")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}
