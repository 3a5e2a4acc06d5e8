package local_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
)

// patience is how long a test waits for anything.
const patience = 60 * time.Second

// services are the platform's, in the order in which they must stop.
var services = []string{"gateway", "auth", "identity", "authz", "audit"}

// manifests are those of the platform's services: what there is to start is read from them.
var manifests = map[string]string{
	"audit":    "name: audit\nversion: 1.0.0\nservices: [ashlar.audit.v1.AuditService]\ndependsOn: [authz]\ngateway: {expose: true}\n",
	"auth":     "name: auth\nversion: 1.0.0\nservices: [ashlar.auth.v1.AuthService]\ndependsOn: [identity, authz]\ngateway: {expose: true}\n",
	"authz":    "name: authz\nversion: 1.0.0\nservices: [ashlar.authz.v1.RoleService]\ngateway: {expose: true}\n",
	"identity": "name: identity\nversion: 1.0.0\nservices: [ashlar.identity.v1.UserService]\ndependsOn: [authz]\ngateway: {expose: true}\n",
}

// platformTest has folders with everything that a run of platformctl needs.
type platformTest struct {
	t                       *testing.T
	root, bin, home, orders string
	env                     []string
}

func newPlatformTest(t *testing.T, env ...string) *platformTest {
	t.Helper()
	consul := consultest.Binary(t)
	// Not t.TempDir: where a test fails, nothing says that all processes have let go of it.
	dir, err := os.MkdirTemp("", "platformctl") //nolint:usetesting // as said
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &platformTest{t: t, root: dir, bin: filepath.Join(dir, "bin"), home: filepath.Join(dir, "the home"), orders: filepath.Join(dir, "orders")}
	for _, folder := range []string{p.bin, p.orders} {
		require.NoError(t, os.Mkdir(folder, 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.work"), []byte("go 1.26.0\n"), 0o600))
	for name, manifest := range manifests {
		p.manifest(name, manifest)
	}
	for _, name := range append([]string{"platformctl"}, services...) {
		p.program(name)
	}
	consul, err = filepath.Abs(consul)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(consul, filepath.Join(p.bin, "consul")))
	p.env = append([]string{
		"PATH=/nowhere", "ASHLAR_HOME=" + p.home, "ASHLAR_ROOT=" + p.root, "ASHLAR_GATEWAY_ADDR=127.0.0.1:0", fakeDir + "=" + p.orders,
		"GORACE=atexit_sleep_ms=0", // a program with the race detector sleeps a second at its end
	}, env...)
	return p
}

// manifest writes the module.yaml of a service.
func (p *platformTest) manifest(service, content string) {
	p.t.Helper()
	folder := filepath.Join(p.root, "services", service)
	require.NoError(p.t, os.MkdirAll(folder, 0o700))
	require.NoError(p.t, os.WriteFile(filepath.Join(folder, "module.yaml"), []byte(content), 0o600))
}

// program makes this test binary a program of the platform.
func (p *platformTest) program(name string) {
	p.t.Helper()
	self, err := os.Executable()
	require.NoError(p.t, err)
	// Not a symbolic link, because a program asks where it is itself.
	if os.Link(self, filepath.Join(p.bin, name)) != nil {
		content, err := os.ReadFile(self)
		require.NoError(p.t, err)
		// A process that another test starts meanwhile would inherit the open file for a moment, and nobody could run it.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		require.NoError(p.t, os.WriteFile(filepath.Join(p.bin, name), content, 0o700))
	}
}

// order gives a fake service an order.
func (p *platformTest) order(service, order string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.orders, service+"."+order), nil, 0o600))
}

// cancel takes an order back.
func (p *platformTest) cancel(service, order string) {
	p.t.Helper()
	require.NoError(p.t, os.Remove(filepath.Join(p.orders, service+"."+order)))
}

// traced returns what a fake service has left.
func (p *platformTest) traced(service, what string) string {
	p.t.Helper()
	return p.read(p.orders, service+"."+what)
}

func (p *platformTest) read(path ...string) string {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	require.NoError(p.t, err)
	return string(content)
}

func (p *platformTest) pid(service string) int {
	p.t.Helper()
	pid, err := strconv.Atoi(p.traced(service, "pid"))
	require.NoError(p.t, err)
	return pid
}

// running is a platformctl that runs.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *transcript // standard output and error
	done chan struct{}
}

// run starts platformctl.
func (p *platformTest) run(args ...string) *running {
	p.t.Helper()
	r := &running{t: p.t, out: newTranscript(), done: make(chan struct{})}
	r.cmd = exec.Command(filepath.Join(p.bin, "platformctl"), args...)
	r.cmd.Env = p.env
	// Pipes of our own: Wait must not wait for what has been left behind in the background.
	reader, writer, err := os.Pipe()
	require.NoError(p.t, err)
	r.cmd.Stdout, r.cmd.Stderr = writer, writer
	require.NoError(p.t, r.cmd.Start())
	require.NoError(p.t, writer.Close())
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(r.out, reader)
		_ = reader.Close()
		close(copied)
	}()
	go func() {
		_ = r.cmd.Wait()
		<-copied
		close(r.done)
	}()
	p.t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		r.wait()
		if p.t.Failed() {
			p.t.Logf("platformctl %s:\n%s", strings.Join(args, " "), r.out)
		}
	})
	return r
}

// until waits until platformctl has written something.
func (r *running) until(text string) {
	r.t.Helper()
	for deadline := time.After(patience); ; {
		changed := r.out.changed()
		if strings.Contains(r.out.String(), text) {
			return
		}
		select {
		case <-changed:
		case <-r.done:
			if !strings.Contains(r.out.String(), text) {
				r.t.Fatalf("ended (%s) without saying %q:\n%s", r.cmd.ProcessState, text, r.out)
			}
		case <-deadline:
			r.t.Fatalf("never said %q:\n%s", text, r.out)
		}
	}
}

func (r *running) send(signal syscall.Signal) {
	r.t.Helper()
	require.NoError(r.t, r.cmd.Process.Signal(signal))
}

// wait waits until platformctl has ended, and returns its exit code.
func (r *running) wait() int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Fatalf("does not end:\n%s", r.out)
	}
	return r.cmd.ProcessState.ExitCode()
}

// stop is Ctrl-C.
func (r *running) stop() {
	r.t.Helper()
	r.send(syscall.SIGINT)
	require.Zero(r.t, r.wait(), r.out)
}

// eventually waits for a condition of another process that nothing tells us of.
func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, 10*time.Millisecond, what)
}

// transcript is what a process writes.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// changed is closed at the next write. Ask for it before looking.
func (s *transcript) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.more
}
