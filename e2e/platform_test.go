package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// services are the platform's own, as Consul names them.
var services = []string{"audit", "auth", "authz", "gateway", "identity", "notes"}

const adminEmail = "admin@ashlar.dev"

// platform is one that `platformctl up` runs.
type platform struct {
	*program
	settings

	consul string // host:port
	rows   map[string]row
}

// settings are what a platform is started with.
type settings struct {
	home    string
	gateway string // host:port
	consul  string // host:port of an agent that runs already; empty: up starts one
	env     []string
	flags   []string
}

// row is a line of the table that up prints.
type row struct {
	address string
	pid     int // 0: not started by up
}

var tableLine = regexp.MustCompile(`(?m)^(\w+) +ready +(\S+) +(\d+|-) +\S+$`)

// newSettings are those of a platform with a home of its own and a free address.
func newSettings(t testing.TB) settings {
	t.Helper()
	address, err := freeAddress()
	require.NoError(t, err)
	return settings{home: filepath.Join(t.TempDir(), "home"), gateway: address}
}

// up starts a platform, which is stopped, or killed, at the end of the test, if it still runs then.
func up(t testing.TB, s settings) *platform {
	t.Helper()
	p, err := start(built(t, "platformctl"), s)
	if p != nil {
		t.Cleanup(func() {
			if p.running() {
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
				_ = eventually(stopWithin, func() error { return p.stillRuns() })
			}
			p.kill()
			if t.Failed() {
				t.Logf("platformctl said:\n%s%s\n%s", p.stdout, p.stderr, p.logs())
			}
		})
	}
	require.NoError(t, err)
	return p
}

// start starts a platform and waits until it says that everything is ready.
func start(platformctl string, s settings) (*platform, error) {
	if s.consul == "" {
		defer keepUsualConsul()()
	}
	env := environ(append(s.env, "ASHLAR_HOME="+s.home, "ASHLAR_GATEWAY_ADDR="+s.gateway)...)
	if s.consul != "" {
		env = append(env, "CONSUL_HTTP_ADDR="+s.consul)
	}
	program, err := spawn(env, platformctl, append([]string{"up"}, s.flags...)...)
	if err != nil {
		return nil, err
	}
	p := &platform{program: program, settings: s}
	if err := p.says("Ctrl-C stops everything.", startWithin); err != nil {
		return p, err
	}
	p.rows = map[string]row{}
	for _, m := range tableLine.FindAllStringSubmatch(p.stdout.String(), -1) {
		pid, _ := strconv.Atoi(m[3])
		p.rows[m[1]] = row{address: m[2], pid: pid}
	}
	p.consul = p.rows["consul"].address
	for _, name := range append([]string{"consul"}, services...) {
		if p.rows[name].address == "" {
			return p, fmt.Errorf("the table of `up` has no address of %s:\n%s", name, p.stdout)
		}
	}
	return p, nil
}

// keepUsualConsul keeps Consul's usual port from `up` until release is called. A Consul there would be found by services
// of another platform on this machine, whose own has ended, and they have another cluster key.
func keepUsualConsul() (release func()) {
	usual, err := net.Listen("tcp", "127.0.0.1:8500")
	if err != nil {
		return func() {} // somebody else has it
	}
	return func() { _ = usual.Close() }
}

func (p *platform) stillRuns() error {
	if p.running() {
		return fmt.Errorf("%s still runs", p.name)
	}
	return nil
}

// stop ends the platform as Ctrl-C does, and expects it to end in order.
func (p *platform) stop(t testing.TB) {
	t.Helper()
	p.signal(t, os.Interrupt)
	require.Equal(t, 0, p.wait(t, stopWithin), "exit code of up\n%s%s\n%s", p.stdout, p.stderr, p.logs())
	for name, r := range p.rows {
		if r.pid != 0 {
			assert.NoError(t, gone(r.pid), name)
		}
	}
}

// gone tells whether a process has ended.
func gone(pid int) error {
	if err := syscall.Kill(pid, 0); err == nil {
		// A child of nobody may wait for init to notice its end.
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		// Its first thread can be gone while others still hold its sockets.
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if strings.HasPrefix(state, "Z") && len(threads) <= 1 {
			return nil
		}
		return fmt.Errorf("process %d still runs", pid)
	}
	return nil
}

// url is where the gateway is.
func (p *platform) url() string { return "http://" + p.gateway }

// password is the first administrator's.
func (p *platform) password(t testing.TB) string {
	t.Helper()
	return passwordIn(t, p.home)
}

func passwordIn(t testing.TB, home string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(home, "admin-password"))
	require.NoError(t, err)
	return strings.TrimSpace(string(content))
}

// logs are the ends of all processes' logs.
func (p *platform) logs() string {
	const most = 4000
	var text strings.Builder
	files, _ := filepath.Glob(filepath.Join(p.home, "logs", "*.log"))
	for _, file := range files {
		content, _ := os.ReadFile(file)
		fmt.Fprintf(&text, "--- %s\n%s\n", file, content[max(0, len(content)-most):])
	}
	return text.String()
}

// script starts one service by hand, as the file says that `up` has written for people.
func (p *platform) script(service string) string {
	return fmt.Sprintf("set -a; . '%s'; set +a; exec '%s'", filepath.Join(p.home, "env", service), filepath.Join(root, ".bin", service))
}

// ownServices returns which of the platform's services Consul's catalog lists.
func ownServices(consul string) ([]string, error) {
	var all map[string][]string
	if err := getJSON("http://"+consul+"/v1/catalog/services", &all); err != nil {
		return nil, err
	}
	var own []string
	for name := range all {
		if name != "consul" {
			own = append(own, name)
		}
	}
	slices.Sort(own)
	return own, nil
}

// plain is an HTTP client without any memory.
var plain = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func getJSON(url string, into any) error {
	response, err := plain.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
