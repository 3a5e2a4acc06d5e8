package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// common is the platform that tests share which stop nothing and kill nothing. It starts when the first of them asks.
var common struct {
	once     sync.Once
	platform *platform
	origin   string // host:port; its pages may call
	dir      string
	err      error
}

// shared returns the platform that tests share.
func shared(t testing.TB) *platform {
	t.Helper()
	platformctl := built(t, "platformctl")
	common.once.Do(func() { common.err = startShared(platformctl) })
	if common.err != nil {
		t.Fatalf("the shared platform: %v", common.err)
	}
	return common.platform
}

func startShared(platformctl string) error {
	var err error
	if common.dir, err = os.MkdirTemp("", "ashlar-e2e-"); err != nil {
		return err
	}
	if common.origin, err = freeAddress(); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	common.platform, err = start(platformctl, settings{
		home: filepath.Join(common.dir, "home"), gateway: address,
		env: []string{"ASHLAR_GATEWAY_CORS_ORIGINS=http://" + common.origin},
	})
	return err
}

// stopShared stops it as Ctrl-C does, and returns what went wrong.
func stopShared() error {
	p := common.platform
	if p == nil {
		return nil
	}
	defer func() { _ = os.RemoveAll(common.dir) }()
	defer p.kill()
	if common.err != nil {
		return nil // the tests have said so
	}
	if !p.running() {
		return fmt.Errorf("the shared platform has ended (%s):\n%s%s", p.cmd.ProcessState, p.stdout, p.stderr)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := eventually(stopWithin, p.stillRuns); err != nil {
		return err
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the shared platform ended with %d:\n%s%s\n%s", code, p.stdout, p.stderr, p.logs())
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}
