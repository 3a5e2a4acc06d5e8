package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

// seenWithin is how long it may take on a crowded machine until it shows that an instance is gone. Consul's interval and
// the timeout of a check are 3 s; how long it took is logged.
const seenWithin = 30 * time.Second

// listed is a service as `services list -o json` shows it.
type listed struct {
	Name      string           `json:"name"`
	State     string           `json:"state"`
	Healthy   int              `json:"healthy"`
	Versions  []string         `json:"versions"`
	DependsOn []string         `json:"dependsOn"`
	Instances []listedInstance `json:"instances"`
}

// listedInstance is one of its processes.
type listedInstance struct {
	ID      string     `json:"id"`
	Address string     `json:"address"`
	Healthy bool       `json:"healthy"`
	Why     string     `json:"why"`
	Started *time.Time `json:"started"`
}

// platformctl runs a command on the home folder of a platform, which must succeed, and returns what it wrote.
func (p *platform) platformctl(t testing.TB, args ...string) *program {
	t.Helper()
	r, code := run(t, startWithin, environ("ASHLAR_HOME="+p.home), built(t, "platformctl"), args...)
	require.Zero(t, code, "platformctl %q: %s%s", args, r.stdout, r.stderr)
	return r
}

// services lists services, by name.
func (p *platform) services(t testing.TB) map[string]listed {
	t.Helper()
	var all []listed
	require.NoError(t, json.Unmarshal([]byte(p.platformctl(t, "services", "list", "-o", "json").stdout.String()), &all))
	byName := map[string]listed{}
	for _, s := range all {
		byName[s.Name] = s
	}
	return byName
}

// What runs is shown at once, and what has died is not shown as healthy for longer than Consul's check takes.
func TestServicesAreSeen(t *testing.T) {
	s := newSettings(t)
	s.flags = []string{"--no-restart"}
	p := up(t, s)
	begun := time.Now()
	all := p.services(t)
	took := time.Since(begun)
	t.Logf("services list shows %d services %s after `up` was ready", len(all), took.Round(time.Millisecond))
	require.Len(t, all, len(services), "the first look shows all: nothing is waited for here")
	for _, name := range services {
		assert.Equal(t, "healthy", all[name].State, name)
		require.Len(t, all[name].Instances, 1, name)
		assert.Equal(t, p.rows[name].address, all[name].Instances[0].Address)
		assert.NotNil(t, all[name].Instances[0].Started, name)
	}
	assert.Equal(t, []string{"authz", "identity"}, all["auth"].DependsOn)
	assert.NotEmpty(t, all["auth"].Versions[0])

	described := p.platformctl(t, "services", "describe", "identity").stdout.String()
	for _, line := range []string{
		`(?m)^State +healthy, 1 of 1 instances`, `(?m)^Through the gateway +yes; at most 10s`,
		`(?m)^ashlar\.identity\.v1\.UserService/GetUser +identity\.user\.read +unary +no side effects$`,
		`(?m)^ashlar\.identity\.v1\.AccountService/\w+ +internal +unary`, `(?m)^identity\.owner +Runs an organization`,
	} {
		assert.Regexp(t, line, described)
	}
	assert.Contains(t, p.platformctl(t, "services", "graph", "--live").stdout.String(), "├── authz")

	t.Run("one that up started", func(t *testing.T) {
		require.NoError(t, syscall.Kill(p.rows["audit"].pid, syscall.SIGKILL))
		logUnseen(t, p, "audit", func(s listed) bool { return s.Healthy == 0 })
	})
	t.Run("one that nobody looks after", func(t *testing.T) {
		// A second instance, by hand: nobody takes it out of Consul when it dies.
		second := startProgram(t, environ("ASHLAR_INSTANCE_ID=identity-by-hand"), "/bin/sh", "-c", p.script("identity"))
		require.NoError(t, eventually(startWithin, func() error {
			if s := p.services(t)["identity"]; s.Healthy != 2 {
				return fmt.Errorf("%d of 2 instances are healthy", s.Healthy)
			}
			return nil
		}))
		second.kill()
		logUnseen(t, p, "identity", func(s listed) bool { return s.Healthy == 1 })
		if s := p.services(t)["identity"]; s.State == "degraded" {
			dead := slices.IndexFunc(s.Instances, func(i listedInstance) bool { return !i.Healthy })
			assert.Contains(t, s.Instances[dead].Why, "refused")
		}
	})
}

// logUnseen waits until a service that has lost a process is shown so, and logs how long that took.
func logUnseen(t *testing.T, p *platform, name string, seen func(listed) bool) {
	t.Helper()
	begun := time.Now()
	require.NoError(t, eventually(seenWithin, func() error {
		if s := p.services(t)[name]; !seen(s) {
			return fmt.Errorf("%s is still shown as %s with %d healthy instances", name, s.State, s.Healthy)
		}
		return nil
	}))
	t.Logf("%s was shown as gone or unhealthy %s after kill -9", name, time.Since(begun).Round(time.Millisecond))
}

// Services get new processes while people work, and nobody notices.
func TestRestartUnderLoad(t *testing.T) {
	p := up(t, newSettings(t))
	admin := p.admin(t)
	reads := []request{
		{procedure: whoAmI, message: &authv1.WhoAmIRequest{}},
		{procedure: listOrganizations, message: &identityv1.ListOrganizationsRequest{}},
		{procedure: listPermissions, message: &authzv1.ListPermissionsRequest{}},
	}
	before := p.services(t)
	calls, failures := load(t, p, admin, reads, func() {
		said := p.platformctl(t, "services", "restart", "auth", "identity", "authz", "audit", "notes").stderr.String()
		assert.Regexp(t, `(?s)authz +ready at .*identity +ready at .*auth +ready at `, said, "those first that others depend on")
		t.Logf("restart said:\n%s", said)
	})
	t.Logf("%d calls while all services were restarted, %d failed", calls, len(failures))
	assert.Empty(t, failures)
	assert.Greater(t, calls, 20)
	after := p.services(t)
	for _, name := range []string{"auth", "identity", "authz", "audit", "notes"} {
		require.Len(t, after[name].Instances, 1, name)
		assert.NotEqual(t, before[name].Instances[0].ID, after[name].Instances[0].ID)
	}

	// What one needs goes down after it, and comes back with it.
	said := p.platformctl(t, "services", "down", "identity", "auth", "notes").stderr.String()
	assert.Regexp(t, `(?s)auth +stopped in .*identity +stopped in `, said)
	assert.Equal(t, "down", p.services(t)["identity"].State)
	a := speeches[0].send(t, reads[1].from(p, admin))
	assert.Equal(t, "unavailable", a.code, a)
	p.platformctl(t, "services", "up", "auth")
	for _, r := range reads {
		a := speeches[0].send(t, r.from(p, admin))
		assert.Empty(t, a.code, "the first call after `services up`: %s: %s", r.procedure, a)
	}

	p.signal(t, os.Interrupt)
	require.Zero(t, p.wait(t, stopWithin), "%s%s", p.stdout, p.stderr)
	var order []string
	_, last, _ := cutLast(p.stdout.String(), "Stopping.")
	for _, m := range regexp.MustCompile(`(?m)^(\w+) +stopped in`).FindAllStringSubmatch(last, -1) {
		order = append(order, m[1])
	}
	// notes was not started again.
	assert.Equal(t, []string{"gateway", "auth", "identity", "authz", "audit", "consul"}, order)
}

func cutLast(text, separator string) (before, after string, found bool) {
	places := regexp.MustCompile(regexp.QuoteMeta(separator)).FindAllStringIndex(text, -1)
	if len(places) == 0 {
		return text, "", false
	}
	last := places[len(places)-1]
	return text[:last[0]], text[last[1]:], true
}

// pace is how often each of the callers calls: what one person may ask of auth in a second is limited to 10 calls.
const pace = 120 * time.Millisecond

// load calls again and again while something is done, and returns the number of calls and what failed.
func load(t *testing.T, p *platform, who person, reads []request, do func()) (calls int, failures []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var made atomic.Int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for _, r := range reads {
		workers.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				a, err := speeches[0].try(context.WithoutCancel(ctx), r.from(p, who))
				made.Add(1)
				if err == nil && a.code == "" {
					continue
				}
				mu.Lock()
				failures = append(failures, fmt.Sprintf("%s: %s %v", r.procedure, a, err))
				mu.Unlock()
			}
		})
	}
	do()
	stop()
	workers.Wait()
	return int(made.Load()), failures
}
