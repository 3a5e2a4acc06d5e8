package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timings is how often each thing is done; the one in the middle counts.
const timings = 5

// What the platform takes to be ready when all is built, from the start of the command until it says so. Nothing is
// asserted, because the machine does other things, too: go test -v -run Timing shows it.
func TestTiming(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("only measured with -v, because otherwise nobody would see it")
	}
	platformctl := built(t, "platformctl")
	dev := built(t, "ashlar-dev")
	needs(t, "sh")
	taskw := filepath.Join(root, "taskw")
	for _, c := range []struct {
		name, says, path string
		args             []string
	}{
		{"platformctl up", "Ctrl-C stops everything.", platformctl, []string{"up"}},
		{"./taskw up", "Ctrl-C stops everything.", taskw, []string{"up"}},
		{"ashlar-dev", devReady, dev, nil},
		{"./taskw dev", devReady, taskw, []string{"dev"}},
	} {
		s := newSettings(t)
		var took, stopped []time.Duration
		for range timings + 1 { // the first makes the databases, and does not count
			release := keepUsualConsul()
			p := startProgram(t, environ("ASHLAR_HOME="+s.home, "ASHLAR_GATEWAY_ADDR="+s.gateway), c.path, c.args...)
			require.NoError(t, p.says(c.says, startWithin))
			took = append(took, time.Since(p.begun))
			release()
			begun := time.Now()
			p.signal(t, os.Interrupt)
			require.Zero(t, p.wait(t, stopWithin), p.stderr)
			stopped = append(stopped, time.Since(begun))
		}
		t.Logf("%-15s ready after %s (first time %s), stopped in %s", c.name,
			median(took[1:]).Round(time.Millisecond), took[0].Round(time.Millisecond), median(stopped[1:]).Round(time.Millisecond))
	}
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
