package leaktest

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// leak is how long the goroutine lives that the test binary leaves behind.
const leak = "ASHLAR_TEST_LEAK"

func TestMain(m *testing.M) {
	if text := os.Getenv(leak); text != "" {
		life, err := time.ParseDuration(text)
		if err != nil {
			panic(err)
		}
		go func() { <-time.After(life) }()
	}
	Main(m)
}

func TestNothing(*testing.T) {}

// What ends a little later than goleak would wait is no leak; what does not end is one.
func TestMainWaits(t *testing.T) {
	for life, passes := range map[string]bool{"2s": true, "1h": false} {
		t.Run(life, func(t *testing.T) {
			t.Parallel()
			command := exec.Command(os.Args[0], "-test.run=^TestNothing$")
			command.Env = append(os.Environ(), leak+"="+life)
			out, err := command.CombinedOutput()
			require.Equal(t, passes, err == nil, "%s", out)
			if !passes {
				require.Contains(t, string(out), "leaktest.TestMain.func1")
			}
		})
	}
}
