package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	pollInterval = 20 * time.Millisecond
	// startWithin is how long a platform may take to be ready on a machine that does other things, too, with programs
	// that were built a moment ago.
	startWithin = 2 * time.Minute
	stopWithin  = 45 * time.Second
)

// root is the root of the repository.
var root = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// built returns the path of a program that the build makes.
func built(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(root, ".bin", name)
	if _, err := exec.LookPath(path); err != nil {
		missing(t, fmt.Sprintf(".bin/%s is missing: `./taskw test` builds it", name))
	}
	return path
}

// needs skips a test on a machine that lacks one of these programs.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is not on PATH")
		}
	}
}

// missing skips a test for a reason, and fails it where CI=true.
func missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and in CI no test may be skipped", reason)
	}
	t.Skip(reason)
}

// eventually tries until try returns nil, and returns the last error where it does not in time.
func eventually(within time.Duration, try func() error) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("not within %s: %w", within, err)
		}
	}
}

// program is a process that was started.
type program struct {
	name   string
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	begun  time.Time
	ended  chan struct{} // closed when it has ended
}

// spawn starts a program with an environment, at the root of the repository.
func spawn(env []string, path string, args ...string) (*program, error) {
	p := &program{
		name: filepath.Base(path), cmd: exec.Command(path, args...), stdout: &output{}, stderr: &output{},
		ended: make(chan struct{}), begun: time.Now(),
	}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = root, env, p.stdout, p.stderr
	p.cmd.SysProcAttr = attributes()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its ProcessState
		close(p.ended)
	}()
	return p, nil
}

// startProgram starts a program that is killed at the end of the test, if it still runs then.
func startProgram(t testing.TB, env []string, path string, args ...string) *program {
	t.Helper()
	p, err := spawn(env, path, args...)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s%s", p.name, p.stdout, p.stderr)
		}
	})
	return p
}

// run runs a program to its end, which must come in time, and returns its exit code.
func run(t testing.TB, within time.Duration, env []string, path string, args ...string) (p *program, code int) {
	t.Helper()
	p = startProgram(t, env, path, args...)
	return p, p.wait(t, within)
}

func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// wait waits for the end of the process and returns its exit code, -1 after a signal.
func (p *program) wait(t testing.TB, within time.Duration) int {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.kill()
		require.FailNow(t, p.name+" did not end within "+within.String(), "%s%s", p.stdout, p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process at once, and waits for it.
func (p *program) kill() {
	if p.running() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// signal sends a signal.
func (p *program) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
		require.NoError(t, err)
	}
}

// says waits until the output of the process contains text.
func (p *program) says(text string, within time.Duration) error {
	var ended error
	err := eventually(within, func() error {
		running := p.running() // asked first: what it says last must count
		if strings.Contains(p.stdout.String(), text) || strings.Contains(p.stderr.String(), text) {
			return nil
		}
		if !running {
			ended = fmt.Errorf("%s ended (%s) without saying %q:\n%s%s", p.name, p.cmd.ProcessState, text, p.stdout, p.stderr)
			return nil // there is nothing to wait for
		}
		return fmt.Errorf("%s does not say %q but:\n%s%s", p.name, text, p.stdout, p.stderr)
	})
	return errors.Join(err, ended)
}

// environ is the environment of this process without what would make programs behave otherwise than the test wants,
// and with more.
func environ(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "ASHLAR_") || strings.HasPrefix(variable, "CONSUL_") || strings.HasPrefix(variable, "OTEL_")
	})
	return append(env, more...)
}

// output collects what a process prints. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
