package local_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/platformctl/cli"
)

// leaked is the exit code of a platformctl that left goroutines behind.
const leaked = 99

// TestMain makes the test binary every program that the tests need: under the name of one, it is that one.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); name {
	case "platformctl":
		code := cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		if err := leaktest.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = leaked
		}
		os.Exit(code)
	case "audit", "identity", "authz", "auth", "gateway", "notes":
		os.Exit(fakeService(name))
	default:
		leaktest.Main(m)
	}
}
