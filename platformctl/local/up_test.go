package local_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/platformctl/exit"
)

// catalog returns the names of the services in Consul, and not Consul itself.
func catalog(t *testing.T, address string) []string {
	t.Helper()
	response, err := http.Get("http://" + address + "/v1/catalog/services")
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var all map[string][]string
	require.NoError(t, json.Unmarshal(content, &all), string(content))
	var names []string
	for name := range all {
		if name != "consul" {
			names = append(names, name)
		}
	}
	return names
}

var shownPassword = regexp.MustCompile(`Password  (\S+) \(shown this once\)`)

func TestUpRunsUntilCtrlCAndGoesOnTheNextTime(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr, "ASHLAR_LOG_LEVEL=DEBUG", "ASHLAR_LISTEN_ADDR=127.0.0.1:1",
		"ASHLAR_AUDIT_DATABASE_URL=postgres://audit:geheim@db/audit")

	first := p.run("up")
	first.until("Ctrl-C stops everything")
	require.ElementsMatch(t, services, catalog(t, agent.Addr))
	for _, line := range []string{
		`(?m)^consul    used at `, `(?m)^identity  ready in \d`, `(?m)^SERVICE +STATE +ADDRESS +PID +TOOK$`,
		`(?m)^gateway +ready +127\.0\.0\.1:\d+ +\d+ +\d+\.\ds$`, `(?m)^consul +ready +127\.0\.0\.1:\d+ +- +-$`,
		`(?m)^Ready in \d+\.\ds\.`, `Gateway   http://127\.0\.0\.1:\d+\n`, `admin@ashlar\.dev, with the password in`,
		`curl -s http://127\.0\.0\.1:\d+/ashlar\.auth\.v1\.AuthService/Login`,
	} {
		require.Regexp(t, line, first.out.String())
	}
	require.NotContains(t, first.out.String(), "\x1b", "colors are for terminals")
	require.Regexp(t, shownPassword, first.out.String())
	password := shownPassword.FindStringSubmatch(first.out.String())[1]
	require.Equal(t, password+"\n", p.read(p.home, "admin-password"))

	// Each process has what is its own, and no more; secrets are in files.
	for _, service := range services {
		env := strings.Split(p.traced(service, "env"), "\n")
		require.Empty(t, p.traced(service, "args"))
		require.NotContains(t, strings.Join(env, "\n"), password)
		require.Contains(t, env, "ASHLAR_CLUSTER_KEY_FILE="+filepath.Join(p.home, "cluster.key"))
		require.Contains(t, env, "ASHLAR_CONSUL_ADDR="+agent.Addr)
		require.Contains(t, env, "ASHLAR_LOG_LEVEL=DEBUG", "others are passed on")
		require.NotContains(t, env, "ASHLAR_LISTEN_ADDR=127.0.0.1:1", "all would have the same port")
		require.Regexp(t, `(?m)^ASHLAR_INSTANCE_ID=`+service+`-[0-9a-f]{8}$`, p.traced(service, "env"))
		require.Equal(t, service == "auth", strings.Contains(p.traced(service, "env"), "ASHLAR_ADMIN_"))
		require.Equal(t, service == "audit", strings.Contains(p.traced(service, "env"), "geheim"), service)
		require.NotContains(t, p.read(p.home, "env", service), "geheim")
	}
	require.Contains(t, p.traced("auth", "env"), "ASHLAR_DATABASE_URL=sqlite://"+strings.ReplaceAll(filepath.Join(p.home, "auth.db"), " ", "%20")+"\n")
	require.Contains(t, p.traced("audit", "env"), "ASHLAR_DATABASE_URL=postgres://audit:geheim@db/audit\n")
	require.NotContains(t, p.traced("gateway", "env"), "DATABASE_URL")
	require.Contains(t, p.read(p.home, "logs", "identity.log"), `"msg":"ready"`)

	first.stop()
	require.Equal(t, strings.Join(services, "\n")+"\n", p.read(p.orders, "stopped"), "the gateway first, audit last")
	require.Empty(t, catalog(t, agent.Addr))
	key := p.read(p.home, "cluster.key")
	onlyOwner(t, p.home)

	second := p.run("up")
	second.until("Ctrl-C stops everything")
	require.NotContains(t, second.out.String(), password)
	require.Equal(t, key, p.read(p.home, "cluster.key"))
	require.Equal(t, password+"\n", p.read(p.home, "admin-password"))
	require.FileExists(t, filepath.Join(p.home, "logs", "identity.log.1"))
	second.stop()
	require.Empty(t, catalog(t, agent.Addr))
}

// onlyOwner requires that nobody else can read anything in a folder.
func onlyOwner(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestDeadServiceIsStartedAgainAndOthersGoOn(t *testing.T) {
	t.Parallel()
	p := newPlatformTest(t) // with a Consul of its own
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	consul := regexp.MustCompile(`(?m)^consul +ready +(127\.0\.0\.1:\d+) `).FindStringSubmatch(up.out.String())[1]
	require.ElementsMatch(t, services, catalog(t, consul))
	before := map[string]int{}
	for _, service := range services {
		before[service] = p.pid(service)
	}

	require.NoError(t, syscall.Kill(before["identity"], syscall.SIGKILL))
	up.until("(process " + strconv.Itoa(before["identity"]) + ", signal: killed) after")
	require.NotContains(t, catalog(t, consul), "identity", "callers must not be sent to it")
	up.until("identity  ready again at 127.0.0.1:")
	require.ElementsMatch(t, services, catalog(t, consul))
	for _, service := range services {
		require.Equal(t, service == "identity", before[service] != p.pid(service), service)
	}

	up.stop()
	_, err := net.Dial("tcp", consul)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "Consul has to be gone, too")
}

func TestDeadServiceStaysDownIfSo(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	up := p.run("up", "--no-restart")
	up.until("Ctrl-C stops everything")
	require.NoError(t, syscall.Kill(p.pid("authz"), syscall.SIGKILL))
	up.until("stays down (--no-restart)")
	require.ElementsMatch(t, []string{"gateway", "auth", "identity", "audit"}, catalog(t, agent.Addr))
	up.stop()
}

func TestServiceThatDoesNotStartEndsAll(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.order("auth", fail)
	up := p.run("up")
	require.Equal(t, exit.Failure, up.wait(), up.out)
	require.Contains(t, up.out.String(), "auth ended while it was starting (exit status 1)")
	require.Contains(t, up.out.String(), "ERROR cannot go on  error=the order was to fail")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestWaitingServicesSayForWhom(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.order("authz", wait)
	up := p.run("up")
	up.until("authz     not ready yet: dependencies: waiting for audit")
	p.cancel("authz", wait)
	up.until("Ctrl-C stops everything")
	up.stop()

	p.order("authz", wait)
	up = p.run("up", "--ready-timeout=10s")
	require.Equal(t, exit.Failure, up.wait())
	require.Contains(t, up.out.String(), "not everything was ready within 10s: authz (dependencies: waiting for audit); logs are in")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestReadyMeansThatCallsFindTheirService(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.order("gateway", lost)
	up := p.run("up")
	eventually(t, func() bool { _, err := os.Stat(filepath.Join(p.orders, "unrouted")); return err == nil }, "the gateway is asked")
	require.NotContains(t, up.out.String(), "Ready in")
	p.cancel("gateway", lost)
	up.until("Ctrl-C stops everything")
	up.stop()

	p.order("gateway", lost)
	up = p.run("up", "--ready-timeout=15s")
	require.Equal(t, exit.Failure, up.wait())
	require.Contains(t, up.out.String(), "not everything was ready within 15s: the gateway has not found the way to all services")
}

func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.order("authz", wait)
	up := p.run("up")
	up.until("authz     not ready yet")
	up.send(syscall.SIGINT)
	require.Equal(t, exit.Interrupted, up.wait())
	require.Contains(t, up.out.String(), "interrupted before everything was ready")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestServiceThatDoesNotStopIsKilled(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.order("authz", stubborn)
	up := p.run("up", "--stop-timeout=10s")
	up.until("Ctrl-C stops everything")
	up.send(syscall.SIGTERM)
	require.Equal(t, exit.Failure, up.wait())
	require.Contains(t, up.out.String(), "authz did not stop within 10s")
	require.Equal(t, "gateway\nauth\nidentity\naudit\n", p.read(p.orders, "stopped"), "the others stop in order")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestSecondCtrlCKillsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlatformTest(t)
	p.order("gateway", stubborn)
	up := p.run("up", "--stop-timeout=1h")
	up.until("Ctrl-C stops everything")
	pids := []int{}
	for _, service := range services {
		pids = append(pids, p.pid(service))
	}
	up.send(syscall.SIGINT)
	eventually(t, func() bool { _, err := os.Stat(filepath.Join(p.orders, "refused")); return err == nil }, "SIGTERM has come")
	up.send(syscall.SIGINT)
	require.Equal(t, exit.Interrupted, up.wait())
	for _, pid := range pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
}

func TestTwoPlatforms(t *testing.T) {
	t.Parallel()
	one, other := newPlatformTest(t), newPlatformTest(t)
	up := one.run("up")
	second := other.run("up")
	up.until("Ctrl-C stops everything")
	second.until("Ctrl-C stops everything")

	same := one.run("up")
	require.Equal(t, exit.InUse, same.wait())
	require.Contains(t, same.out.String(), "a platform runs on "+one.home+" already (process "+strconv.Itoa(up.cmd.Process.Pid)+")")

	up.stop()
	second.stop()
}

func TestBackground(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)

	up := p.run("up", "-d")
	require.Equal(t, exit.OK, up.wait(), up.out)
	t.Cleanup(func() { p.run("down", "--timeout=1ms").wait() })
	require.Contains(t, up.out.String(), "It goes on in the background")
	require.Regexp(t, shownPassword, up.out.String())
	password := shownPassword.FindStringSubmatch(up.out.String())[1]
	log := p.read(p.home, "logs", "up.log")
	require.Contains(t, log, "It goes on in the background")
	require.NotContains(t, log, password)
	require.ElementsMatch(t, services, catalog(t, agent.Addr))

	again := p.run("up", "-d")
	require.Equal(t, exit.InUse, again.wait())
	require.Contains(t, again.out.String(), "a platform runs on")

	require.NoError(t, syscall.Kill(p.pid("audit"), syscall.SIGKILL))
	eventually(t, func() bool { return strings.Contains(p.read(p.home, "logs", "up.log"), "audit     ready again") }, "up.log tells what happens")

	down := p.run("down")
	require.Equal(t, exit.OK, down.wait())
	require.Contains(t, down.out.String(), "Stopped in")
	require.Empty(t, catalog(t, agent.Addr))
	down = p.run("down")
	require.Equal(t, exit.OK, down.wait())
	require.Contains(t, down.out.String(), "Nothing runs on "+p.home)

	p.order("identity", fail)
	up = p.run("up", "-d")
	require.Equal(t, exit.Failure, up.wait())
	require.Contains(t, up.out.String(), "identity ended while it was starting")
	require.Contains(t, p.read(p.home, "logs", "up.log"), "identity ended while it was starting")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestDownKillsWhatDoesNotStop(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.order("gateway", stubborn)
	up := p.run("up", "--stop-timeout=1h")
	up.until("Ctrl-C stops everything")
	down := p.run("down", "--timeout=1s")
	require.Equal(t, exit.Failure, down.wait())
	require.Contains(t, down.out.String(), "it did not stop within 1s and was killed")
	require.Equal(t, exit.Interrupted, up.wait(), "it was asked to hurry, and not killed itself")
	require.Empty(t, catalog(t, agent.Addr))
}

func TestConsulThatIsNotThere(t *testing.T) {
	t.Parallel()
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR=127.0.0.1:1")
	up := p.run("up")
	require.Equal(t, exit.NoConsul, up.wait())
	require.Contains(t, up.out.String(), "no Consul agent at 127.0.0.1:1")

	p = newPlatformTest(t)
	require.NoError(t, os.Remove(filepath.Join(p.bin, "consul")))
	up = p.run("up")
	require.Equal(t, exit.NoConsul, up.wait())
	require.Contains(t, up.out.String(), "consul is not on PATH")
}

func TestWhatCannotWorkIsSaidBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // after the parallel subtests
	for _, test := range []struct {
		name  string
		env   string
		args  []string
		spoil func(*platformTest)
		code  int
		says  string
	}{
		{name: "gateway's address is taken", env: "ASHLAR_GATEWAY_ADDR=" + listener.Addr().String(), args: []string{"up"}, code: exit.Failure, says: "the gateway cannot use its address"},
		{name: "one database for all", env: "ASHLAR_DATABASE_URL=postgres://x", args: []string{"up"}, code: exit.Usage, says: "ASHLAR_AUTH_DATABASE_URL"},
		{name: "missing program", args: []string{"up"}, spoil: func(p *platformTest) { _ = os.Remove(filepath.Join(p.bin, "authz")) }, code: exit.Failure, says: "the program of the service authz is missing"},
		{name: "broken manifest", args: []string{"up"}, spoil: func(p *platformTest) { p.manifest("notes", "name: notes\n") }, code: exit.Failure, says: "services/notes/module.yaml"},
		{name: "service in nobody's list", args: []string{"up"}, spoil: func(p *platformTest) { p.manifest("notes", "name: notes\nversion: 1.0.0\n") }, code: exit.Failure, says: "the program of the service notes is missing"},
		{name: "dependency that is not there", args: []string{"up"}, spoil: func(p *platformTest) { p.manifest("notes", "name: notes\nversion: 1.0.0\ndependsOn: [orders]\n") }, code: exit.Failure, says: "notes depends on orders"},
		{name: "no repository", env: "ASHLAR_ROOT=/", args: []string{"up"}, code: exit.Failure, says: "is no repository of a platform"},
		{name: "spoilt key", args: []string{"up"}, spoil: func(p *platformTest) {
			_ = os.Mkdir(p.home, 0o700)
			_ = os.WriteFile(filepath.Join(p.home, "cluster.key"), []byte("x"), 0o600)
		}, code: exit.Failure, says: "cluster.key does not hold 32 bytes"},
		{name: "unknown flag", args: []string{"up", "--wrong"}, code: exit.Usage, says: "unknown flag --wrong"},
		{name: "no command", code: exit.Usage, says: "see platformctl --help"},
		{name: "help", args: []string{"--help"}, code: exit.OK, says: "Exit codes: 0 done"},
		{name: "help of up", args: []string{"up", "--help"}, code: exit.OK, says: "--no-restart"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatformTest(t, test.env)
			if test.spoil != nil {
				test.spoil(p)
			}
			run := p.run(test.args...)
			require.Equal(t, test.code, run.wait())
			require.Contains(t, run.out.String(), test.says)
			for _, service := range services {
				require.NoFileExists(t, filepath.Join(p.orders, service+".pid"))
			}
		})
	}
}

func TestAFolderUnderServicesIsEnough(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	p := newPlatformTest(t, "CONSUL_HTTP_ADDR="+agent.Addr)
	p.program("notes")
	p.manifest("notes", "name: notes\nversion: 1.0.0\ndependsOn: [identity]\n")
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	require.ElementsMatch(t, append([]string{"notes"}, services...), catalog(t, agent.Addr))
	require.Regexp(t, `(?m)^notes +ready +127`, up.out.String())
	require.Contains(t, p.traced("notes", "env"), "ASHLAR_DATABASE_URL=sqlite://")
	up.stop()
	require.Equal(t, "gateway\nnotes\nauth\nidentity\nauthz\naudit\n", p.read(p.orders, "stopped"))
}
