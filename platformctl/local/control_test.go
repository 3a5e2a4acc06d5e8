package local_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
)

// do runs a command to its end, which must be the one that is wanted.
func (p *platformTest) do(code int, args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	require.Equal(p.t, code, r.wait(), "%s: %s", strings.Join(args, " "), r.out)
	return r.out.String()
}

func TestServicesAreStoppedAndStartedAgain(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	before := p.pid("auth")

	// Not what others need, unless somebody insists.
	said := p.do(exit.Conflict, "services", "down", "identity")
	require.Contains(t, said, "identity is needed by auth: others that run depend on it: stop them, too, or use --force")
	require.Contains(t, p.do(exit.Conflict, "services", "down", "audit"), "audit is needed by identity")
	require.ElementsMatch(t, services, catalog(t, agent.Addr))

	said = p.do(exit.OK, "services", "down", "identity", "auth")
	require.Regexp(t, `(?s)auth +stopped in .*identity +stopped in`, said)
	require.Equal(t, "auth\nidentity\n", p.read(p.orders, "stopped"), "each before those that it depends on")
	require.ElementsMatch(t, []string{"gateway", "authz", "audit"}, catalog(t, agent.Addr))
	p.do(exit.OK, "services", "down", "identity") // it is

	// With what it depends on.
	said = p.do(exit.OK, "services", "up", "auth")
	require.Regexp(t, `identity +ready in`, said)
	require.Regexp(t, `auth +ready in`, said)
	require.ElementsMatch(t, services, catalog(t, agent.Addr))
	require.NotEqual(t, before, p.pid("auth"))
	again := p.pid("auth")
	p.do(exit.OK, "services", "up", "auth", "authz")
	require.Equal(t, again, p.pid("auth"), "what runs is left alone")

	// It is kept running again.
	require.NoError(t, syscall.Kill(again, syscall.SIGKILL))
	up.until("auth      ready again at")

	// One that was to run is to run, also where it could not be started just now.
	p.order("auth", fail)
	require.NoError(t, syscall.Kill(p.pid("auth"), syscall.SIGKILL))
	up.until("auth ended while it was starting")
	require.Contains(t, p.do(exit.Failure, "services", "up", "auth"), "the order was to fail")
	p.cancel("auth", fail)
	require.Eventually(t, func() bool { return strings.Count(up.out.String(), "auth      ready again at") == 2 }, patience, 10*time.Millisecond)
	require.ElementsMatch(t, services, catalog(t, agent.Addr))

	require.Contains(t, p.do(exit.NotFound, "services", "up", "orders"), `there is no service "orders"; there are: audit, authz, identity, auth, gateway; one that was added since`)
	up.stop()
	require.NoFileExists(t, filepath.Join(p.home, "control.sock"))
	require.Contains(t, p.do(exit.Unavailable, "services", "down", "auth"), "no platform runs on "+p.home)
}

func TestRestartIsRolling(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	before := map[string]int{}
	for _, service := range services {
		before[service] = p.pid(service)
	}
	said := p.do(exit.OK, "services", "restart", "auth", "authz")
	require.Regexp(t, `(?s)authz +ready at .*authz +stopped in .*auth +ready at .*auth +stopped in`, said, "what others need first")
	for _, service := range services {
		require.Equal(t, service == "auth" || service == "authz", before[service] != p.pid(service), service)
	}
	require.ElementsMatch(t, services, catalog(t, agent.Addr))

	// A new process that does not get ready changes nothing.
	running := p.pid("auth")
	p.order("auth", fail)
	said = p.do(exit.Failure, "services", "restart", "auth")
	require.Contains(t, said, "the order was to fail")
	require.Contains(t, said, "auth goes on as it was")
	require.NoError(t, syscall.Kill(running, 0))
	require.ElementsMatch(t, services, catalog(t, agent.Addr))
	p.cancel("auth", fail)

	// The gateway's address has one owner.
	gateway := p.pid("gateway")
	said = p.do(exit.OK, "services", "restart", "gateway")
	require.Regexp(t, `(?s)gateway +stopped in .*gateway +ready in`, said)
	require.NotEqual(t, gateway, p.pid("gateway"))
	up.stop()
	require.Empty(t, catalog(t, agent.Addr))
}

// What one asks for while another waits for the same.
func TestAServiceIsStoppedWhileItStarts(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up", "--ready-timeout=1h")
	up.until("Ctrl-C stops everything")
	p.do(exit.OK, "services", "down", "auth")
	p.order("auth", wait)
	start := p.run("services", "up", "auth")
	up.until("auth      not ready yet")
	require.Regexp(t, `(?m)^auth +- +starting +0/0`, p.do(exit.OK, "services", "list"))
	p.do(exit.OK, "services", "down", "auth")
	require.Equal(t, exit.Failure, start.wait())
	require.Contains(t, start.out.String(), "it was stopped while it was starting")
	require.Regexp(t, `(?m)^auth +- +down +0/0`, p.do(exit.OK, "services", "list"))

	// Whoever waits learns that the platform stops.
	start = p.run("services", "up", "auth")
	require.Eventually(t, func() bool { return strings.Count(up.out.String(), "auth      not ready yet") == 2 }, patience, 10*time.Millisecond)
	up.stop()
	require.Equal(t, exit.Unavailable, start.wait())
	require.Contains(t, start.out.String(), "the platform stops")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestAServiceThatHangsInItsStart(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up", "--ready-timeout=10s")
	up.until("Ctrl-C stops everything")
	p.order("auth", wait)
	another := func(than int) int {
		eventually(t, func() bool { return p.pid("auth") != than }, "auth gets another process")
		return p.pid("auth")
	}
	dead := p.pid("auth")
	require.NoError(t, syscall.Kill(dead, syscall.SIGKILL))
	hanging := another(dead)

	// It is replaced at once.
	restart := p.run("services", "restart", "auth")
	next := another(hanging)
	require.ErrorIs(t, syscall.Kill(hanging, 0), syscall.ESRCH)
	select {
	case <-restart.done:
		t.Fatal("the restart has ended before its time: ", restart.out)
	default:
	}
	require.Equal(t, exit.Failure, restart.wait())
	require.Contains(t, restart.out.String(), "auth was not ready within 10s")

	// What is left of that is waited for, and not doubled.
	start := p.run("services", "up", "auth")
	p.cancel("auth", wait)
	require.Equal(t, exit.OK, start.wait(), start.out)
	require.Equal(t, next, p.pid("auth"))
	require.ElementsMatch(t, services, catalog(t, agent.Addr))
	up.stop()
	require.Empty(t, catalog(t, agent.Addr))
}

// A restart takes a start over, and the one who asked for the start does not stop what is not his any more.
func TestARestartTakesAStartOver(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	p.do(exit.OK, "services", "down", "auth")
	p.order("auth", wait)
	start := p.run("services", "up", "auth")
	up.until("auth      not ready yet")
	hanging := p.pid("auth")
	restart := p.run("services", "restart", "auth")
	require.Equal(t, exit.Failure, start.wait())
	require.Contains(t, start.out.String(), "it was stopped while it was starting")
	p.cancel("auth", wait)
	require.Equal(t, exit.OK, restart.wait(), restart.out)
	require.NotEqual(t, hanging, p.pid("auth"))
	require.ElementsMatch(t, services, catalog(t, agent.Addr))
	up.stop()
}

func TestWhereTheGatewayHasAFreePort(t *testing.T) {
	t.Parallel()
	p := newPlatformTest(t)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	gateway := regexp.MustCompile(`(?m)^gateway +ready +(\S+:\d+) `).FindStringSubmatch(up.out.String())[1]
	require.Equal(t, "http://"+gateway, local.GatewayURL(t.Context(), p.home))
	up.stop()
	require.Empty(t, local.GatewayURL(t.Context(), p.home))
}

func TestUpOfSomeServicesStartsWhatTheyNeed(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	for _, name := range []string{"notes", "orders"} {
		p.manifest(name, "name: "+name+"\nversion: 1.0.0\ndependsOn: [authz]\n")
	}
	p.program("notes") // and nobody has built orders
	require.Contains(t, p.do(exit.NotFound, "services", "up", "bills"), `there is no service "bills"`)

	t.Cleanup(func() { p.run("down", "--timeout=1ms").wait() })
	said := p.do(exit.OK, "services", "up", "notes")
	require.Contains(t, said, "It goes on in the background")
	require.NotContains(t, said, "orders")
	require.ElementsMatch(t, append([]string{"notes"}, services...), catalog(t, agent.Addr))
	list := p.do(exit.OK, "services", "list")
	require.Regexp(t, `(?m)^notes +- +healthy +1/1`, list)
	require.Regexp(t, `(?m)^orders +- +down +0/0`, list)
	require.Contains(t, p.do(exit.Failure, "services", "up", "orders"), "the program of the service orders is missing")
	require.Regexp(t, `(?m)^orders +- +down +0/0`, p.do(exit.OK, "services", "list"))
	p.do(exit.OK, "down")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestOnlyTheOwnerCanOpenTheSocket(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	socket := filepath.Join(p.home, "control.sock")
	info, err := os.Lstat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	onlyOwner(t, p.home)

	// And without the cluster key nobody is listened to.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	response, err := client.Post("http://supervisor/ashlar.local.v1.SupervisorService/ListUnits", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	up.stop()
}

// The address of a Unix socket has room for little more than a hundred bytes.
func TestAHomeWithALongPath(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.home = filepath.Join(p.root, strings.Repeat("long-", 30))
	p.env = append(p.env, "ASHLAR_HOME="+p.home)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	target, err := os.Readlink(filepath.Join(p.home, "control.sock"))
	require.NoError(t, err)
	p.do(exit.OK, "services", "restart", "audit")
	up.stop()
	require.NoDirExists(t, filepath.Dir(target))

	// What a killed one leaves is in nobody's way.
	up = p.run("up")
	up.until("Ctrl-C stops everything")
	target, err = os.Readlink(filepath.Join(p.home, "control.sock"))
	require.NoError(t, err)
	up.send(syscall.SIGKILL)
	up.wait()
	require.FileExists(t, target)
	require.Contains(t, p.do(exit.Unavailable, "services", "restart", "audit"), "no platform runs on")
	require.Contains(t, p.do(exit.NoConsul, "services", "list", "--consul-addr="), "no platform runs on")
	up = p.run("up")
	up.until("Ctrl-C stops everything")
	require.NoDirExists(t, filepath.Dir(target))
	p.do(exit.OK, "services", "restart", "audit")
	up.stop()
}

func TestOrdersAreTakenWhenEverythingIsReady(t *testing.T) {
	t.Parallel()
	p := newPlatformTest(t) // with a Consul of its own
	p.order("authz", wait)
	up := p.run("up")
	up.until("authz     not ready yet")
	require.Contains(t, p.do(exit.Unavailable, "services", "restart", "audit"), "the platform is starting or stopping")
	// It can be looked at, and waited for.
	require.Regexp(t, `(?m)^authz +- +starting +0/0`, p.do(exit.OK, "services", "list"))
	waiting := p.run("services", "wait", "authz", "gateway", "--timeout=1m")
	waiting.until("gateway is healthy")
	p.cancel("authz", wait)
	require.Equal(t, exit.OK, waiting.wait(), waiting.out)
	require.Contains(t, waiting.out.String(), "authz is healthy")
	up.until("Ctrl-C stops everything")

	require.Contains(t, p.do(exit.Unavailable, "services", "wait", "orders", "--timeout=3s"), "not healthy within 3s: orders (not there)")
	list := p.do(exit.OK, "services", "list", "-o", "json")
	require.Regexp(t, regexp.MustCompile(`"name": "identity",\s+"versions": \[\s+""\s+\],\s+"state": "healthy",\s+"healthy": 1`), list)
	up.stop()
	require.Contains(t, p.do(exit.NoConsul, "services", "list"), "no platform runs on")
}
