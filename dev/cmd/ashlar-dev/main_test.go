package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/loader"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestGraph(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(graph(settings{}, io.Discard, time.Now()), fxadapter.Module()))
}

// run runs test-load and returns what it says.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = testLoad(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestTestLoad(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run("identity", "-o", "json")
	require.Zero(t, code, stderr)
	require.Empty(t, stderr, "nothing to warn of")
	var report loader.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.True(t, report.Ready)
	require.Empty(t, report.Error)
	require.Positive(t, report.StopMs)
	var names []string
	for i, p := range report.Parts {
		names = append(names, p.Name)
		require.Equal(t, loader.Ready, p.State)
		require.Equal(t, i+1, p.Order)
		require.Positive(t, p.ReadyMs)
	}
	require.Equal(t, []string{"authz", "audit", "identity"}, names, "what it depends on, and no gateway")
}

func TestTestLoadOfEverything(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run()
	require.Zero(t, code, stderr)
	for _, says := range []string{"ORDER  NAME", "auth ", "gateway ", "Ready after "} {
		require.Contains(t, stdout, says)
	}
}

func TestTestLoadFails(t *testing.T) {
	t.Parallel()
	code, stdout, _ := run("identiti")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stdout, `there is no module identiti; did you mean "identity"?`)

	code, stdout, _ = run("--timeout", "1ns", "-o", "json", "identity")
	require.Equal(t, exitFailure, code)
	var report loader.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.False(t, report.Ready)
	require.Contains(t, report.Error, "not ready within 1ns")

	code, _, stderr := run("--nope")
	require.Equal(t, 80, code)
	require.Contains(t, stderr, "unknown flag --nope")
	code, stdout, _ = run("--help")
	require.Zero(t, code)
	require.Contains(t, stdout, "Usage: ashlar-dev test-load")
}
