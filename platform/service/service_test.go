package service_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
)

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.components = []lifecycle.Component{{Name: "sweeper", After: []string{"ignored"}}, {Name: "indexer"}}
	w.appear("identity", "authz")
	s, err := w.start()
	require.NoError(t, err)
	require.Equal(t, "notes", s.Name())
	require.Equal(t, "notes.note.read", (<-w.authz.registered).GetPermissions()[0].GetId())

	code, body := w.get("/readyz")
	require.Equal(t, 200, code, body)
	code, _ = w.get("/healthz")
	require.Equal(t, 200, code)
	_, body = w.get("/metrics")
	require.Contains(t, body, "go_goroutines")

	require.Len(t, w.instances("notes"), 1)
	instance := w.instances("notes")[0]
	started, err := time.Parse(time.RFC3339, instance.Metadata[discovery.MetadataStarted])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), started, patience)
	require.Equal(t, discovery.Instance{ID: "notes_1", Service: "notes", Address: s.Address(), Version: "1.2.3", Metadata: map[string]string{
		discovery.MetadataStarted: instance.Metadata[discovery.MetadataStarted], discovery.MetadataDependsOn: "identity,authz",
		discovery.MetadataOps: w.opsAddress(),
	}}, instance)
	_, err = w.client().LookupAccount(t.Context(), lookup)
	require.NoError(t, err)
	local, err := w.env.Clients("shop", w.telemetry)
	require.NoError(t, err)
	_, err = identityv1connect.NewAccountServiceClient(local.Client("notes")).LookupAccount(t.Context(), lookup)
	require.NoError(t, err, "and through the hub")

	require.NoError(t, w.group.Stop(t.Context()))
	var want []string
	for _, name := range []string{
		"environment", "notes/telemetry", "notes/connections", "notes/ops", "notes/database", "notes/outbox", "notes/dependencies", "notes/permissions",
		"notes/module/sweeper", "notes/module/indexer", "notes/server", "notes/registration",
	} {
		want = append(want, "+"+name)
	}
	for _, step := range slices.Backward(slices.Clone(want)) {
		want = append(want, "-"+step[1:])
	}
	require.Equal(t, want, w.steps)
	require.Empty(t, w.instances("notes"))
	code, _ = w.get("/healthz")
	require.Zero(t, code)
	_, err = net.Dial("tcp", s.Address())
	require.Error(t, err)
}

func TestItWaitsForItsDependenciesAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started := make(chan error, 1)
	go func() {
		_, err := w.start()
		started <- err
	}()
	w.until(503, "dependencies: waiting for identity, authz")
	code, _ := w.get("/healthz")
	require.Equal(t, 200, code, "it is alive all the while")
	require.Contains(t, w.logs.String(), "dependency=identity")
	require.Empty(t, w.instances("notes"), "it is not for others yet")

	w.appear("identity")
	w.until(503, "dependencies: waiting for authz")
	w.appear("authz")
	require.NoError(t, <-started)
	w.until(200, "ready")
	require.Len(t, w.instances("notes"), 1)
}

func TestADependencyThatNeverComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity")
	// Not by its timeout, within which the database has to open, too.
	w.before("+notes/dependencies", func(ctx context.Context) context.Context {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	})
	_, err := w.start()
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "start notes/dependencies")
	require.ErrorContains(t, err, "for authz, which notes depends on")
	require.Contains(t, w.steps, "-notes/connections", "what had started is stopped")
	require.NotContains(t, w.steps, "+notes/server")
	require.Empty(t, w.instances("notes"))
}

// An instance that is there is not enough: it must be of a version that will do.
func TestItWaitsForTheVersionThatItNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.module.manifest.DependsOn = []manifest.Dependency{{Name: "identity", Requirement: ">= 1.2"}, {Name: "authz"}}
	w.appear("authz")
	w.appearAs("identity_1", "identity", "1.1.0")
	w.appearAs("identity_2", "identity", "1.1.0")
	started := make(chan error, 1)
	go func() {
		_, err := w.start()
		started <- err
	}()
	w.until(503, "dependencies: waiting for identity >= 1.2 (there is only version 1.1.0), authz")
	require.Contains(t, w.logs.String(), `dependency="identity >= 1.2" versions=[1.1.0]`)
	w.appearAs("identity_3", "identity", "1.3.0-rc.1")
	w.until(503, "dependencies: waiting for identity >= 1.2 (there is only version 1.1.0, 1.3.0-rc.1), authz")
	w.appearAs("identity_4", "identity", "1.2.0")
	require.NoError(t, <-started)
	w.until(200, "ready")
}

// A service becomes visible to others when it can serve them, and not before.
func TestItIsRegisteredOnlyWhenItServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	registrar := &watchedRegistrar{Registrar: w.env.Registrar, register: func(r discovery.Registration) error {
		if r.CheckURL != "http://"+w.opsAddress()+"/readyz?exclude=database" {
			return fmt.Errorf("the check is at %q", r.CheckURL)
		}
		if code, body := w.get("/readyz"); code != 200 {
			return fmt.Errorf("it says that it is not ready: %s", body)
		}
		conn, err := net.Dial("tcp", r.Address)
		if err != nil {
			return err
		}
		return conn.Close()
	}}
	w.env.Registrar = registrar
	_, err := w.start()
	require.NoError(t, err)
	require.NoError(t, w.group.Stop(t.Context()))
	require.Equal(t, []string{"register notes_1", "deregister notes_1"}, registrar.calls)
}

func TestARegistryThatCannotBeReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	broken := errors.New("the agent is gone")
	registry := w.env.Registrar
	registrar := &watchedRegistrar{
		Registrar: registry,
		// It gets there, and the answer does not come back.
		register: func(r discovery.Registration) error { return errors.Join(broken, registry.Register(t.Context(), r)) },
		deregister: func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
				t.Error("it must have some time, and not wait for ever")
			}
			if code, body := w.get("/readyz"); code == 200 {
				t.Errorf("it says that it is ready: %s", body)
			}
			return nil
		},
	}
	w.env.Registrar = registrar
	_, err := w.start()
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "start notes/registration")
	require.Contains(t, w.steps, "-notes/server")
	require.Equal(t, []string{"register notes_1", "deregister notes_1"}, registrar.calls)
	require.Empty(t, w.instances("notes"), "nobody is sent to it")
}

// Migrations may take longer than a dependency is waited for.
func TestTheDatabaseHasItsOwnTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	w.cfg.DependencyTimeout, w.cfg.MigrationTimeout = time.Minute, time.Hour
	s, err := w.start()
	require.NoError(t, err)
	budgets := map[string]time.Duration{}
	for _, c := range s.Components() {
		budgets[c.Name] = c.StartTimeout
	}
	require.Equal(t, time.Hour+time.Minute, budgets["notes/database"])
}

// A registry that cannot be reached must not keep a service from stopping.
func TestADeregistrationThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	broken := errors.New("the agent is gone")
	w.env.Registrar = &watchedRegistrar{Registrar: w.env.Registrar, deregister: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("it must not wait for ever")
		}
		return broken
	}}
	_, err := w.start()
	require.NoError(t, err)
	require.ErrorIs(t, w.group.Stop(t.Context()), broken)
	require.Equal(t, "-environment", w.steps[len(w.steps)-1], "all the rest stops all the same")
}

type watchedRegistrar struct {
	discovery.Registrar

	register   func(discovery.Registration) error
	deregister func(context.Context) error
	calls      []string
}

func (r *watchedRegistrar) Register(ctx context.Context, registration discovery.Registration) error {
	r.calls = append(r.calls, "register "+registration.ID)
	if r.register != nil {
		if err := r.register(registration); err != nil {
			return err
		}
	}
	return r.Registrar.Register(ctx, registration)
}

func (r *watchedRegistrar) Deregister(ctx context.Context, id string) error {
	r.calls = append(r.calls, "deregister "+id)
	if r.deregister != nil {
		if err := r.deregister(ctx); err != nil {
			return err
		}
	}
	return r.Registrar.Deregister(ctx, id)
}

// A stop first tells others, then goes on serving for a while, and lets calls end that are under way.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.DrainTime = patience // the test says when it is over, however slow the machine is
	over := w.endsDrain()
	w.appear("identity", "authz")
	begun, release := make(chan struct{}, 10), make(chan struct{})
	w.handler.lookup = func(context.Context) error {
		begun <- struct{}{}
		<-release
		return nil
	}
	s, err := w.start()
	require.NoError(t, err)
	client := w.client()
	call := func() chan error {
		done := make(chan error, 1)
		go func() {
			_, err := client.LookupAccount(t.Context(), lookup)
			done <- err
		}()
		select {
		case <-begun:
		case err := <-done:
			require.Fail(t, "the call did not get there", "%v", err)
		}
		return done
	}
	underWay := call()

	// One who has not noticed yet that it is leaving: its view is kept from changing.
	stale := w.instances("notes")
	stopped := make(chan error, 1)
	go func() { stopped <- w.group.Stop(context.Background()) }()
	_, err = w.env.Directory.Instances("notes").Wait(t.Context(), func(i []discovery.Instance) bool { return len(i) == 0 })
	require.NoError(t, err)
	code, _ := w.get("/readyz")
	require.Equal(t, 503, code)
	require.NoError(t, w.env.Registrar.Register(t.Context(), discovery.Registration{Instance: stale[0]}))
	late := call()
	require.NoError(t, w.env.Registrar.Deregister(t.Context(), stale[0].ID))

	over()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", s.Address())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, patience, time.Millisecond, "after the drain time the door is closed")
	select {
	case err := <-stopped:
		require.Fail(t, "it did not wait for the calls", "%v", err)
	default:
	}
	close(release)
	require.NoError(t, <-underWay)
	require.NoError(t, <-late, "a call that came while it drained is served, too")
	require.NoError(t, <-stopped)
}

// It goes on for the drain time after it has left, and not only until it has.
func TestTheDrainTakesItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.DrainTime = 300 * time.Millisecond
	w.appear("identity", "authz")
	var left time.Time
	w.env.Registrar = &watchedRegistrar{Registrar: w.env.Registrar, deregister: func(context.Context) error {
		left = time.Now()
		return nil
	}}
	s, err := w.start()
	require.NoError(t, err)
	var served time.Duration
	w.before("-notes/server", func(ctx context.Context) context.Context {
		served = time.Since(left)
		conn, err := net.Dial("tcp", s.Address())
		if err == nil {
			err = conn.Close()
		}
		assert.NoError(t, err, "the door is open all the while")
		return ctx
	})
	require.NoError(t, w.group.Stop(t.Context()))
	require.GreaterOrEqual(t, served, w.cfg.DrainTime)
}

func TestWhatDoesNotFitTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*world)
		says   string
	}{
		"a handler is missing": {func(w *world) {
			w.module.manifest.Services = append(w.module.manifest.Services, "ashlar.identity.v1.UserService")
		}, "module.yaml names the RPC service ashlar.identity.v1.UserService, which has no handler"},
		"a handler is not named": {func(w *world) { w.module.manifest.Services = nil },
			"the RPC service ashlar.identity.v1.AccountService has a handler, and module.yaml does not name it"},
		"a method without a rule": {func(w *world) {
			w.module.build = func(*service.Host) (*service.Parts, error) {
				return &service.Parts{Register: func(server *connect.Server) {
					server.Register(connect.Method{Spec: connect.Spec{Procedure: "/acme.notes.v1.NoteService/Steal"}})
				}}, nil
			}
		}, "/acme.notes.v1.NoteService/Steal has neither a protobuf schema nor an access rule"},
		"the module itself fails": {func(w *world) {
			w.module.build = func(*service.Host) (*service.Parts, error) { return nil, errors.New("no licence") }
		}, "no licence"},
		"no database":       {func(w *world) { w.cfg.DatabaseURL = "" }, "no database is configured"},
		"a strange address": {func(w *world) { w.cfg.DatabaseURL = "mysql://root:hunter2@host/db" }, `start with "mysql"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.change(w)
			_, err := w.build()
			require.ErrorContains(t, err, "notes: ")
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "hunter2")
			require.NoError(t, w.telemetry.Shutdown(context.Background()))
		})
	}
}

func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	folder := t.TempDir()
	for name, test := range map[string]struct {
		change func(*world)
		says   []string
	}{
		"the port is taken":       {func(w *world) { w.cfg.ListenAddr = taken.Addr().String() }, []string{"notes/server", "listen on " + taken.Addr().String()}},
		"that of operations":      {func(w *world) { w.cfg.OpsAddr = taken.Addr().String() }, []string{"notes/ops", "for operations"}},
		"the database is missing": {func(w *world) { w.cfg.DatabaseURL = config.Secret("sqlite://" + folder + "/no/such/folder/x.db") }, []string{"notes/database", folder + "/no/such is missing"}},
		"a part of the module": {func(w *world) {
			w.components = []lifecycle.Component{{Name: "index", Start: func(context.Context) error { return errors.New("no index") }}}
		}, []string{"start notes/module/index: no index"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.appear("identity", "authz")
			test.change(w)
			_, err := w.start()
			for _, says := range test.says {
				require.ErrorContains(t, err, says)
			}
			require.Empty(t, w.instances("notes"))
			require.Equal(t, "-environment", w.steps[len(w.steps)-1])
		})
	}
}

func TestOperationsCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.OpsAddr = ""
	w.appear("identity", "authz")
	w.env.Registrar = &watchedRegistrar{Registrar: w.env.Registrar, register: func(r discovery.Registration) error {
		if r.CheckURL != "" {
			return errors.New("there is a check")
		}
		return nil
	}}
	_, err := w.start()
	require.NoError(t, err)
}

// The service that decides registers with itself, in its own way, and asks itself.
func TestAModuleThatBringsItsOwnDecider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	own := false
	build := w.module.build
	w.module.build = func(host *service.Host) (*service.Parts, error) {
		parts, err := build(host)
		parts.RegisterModule = lifecycle.Component{Name: "whatever", Start: func(context.Context) error { own = true; return nil }}
		return parts, err
	}
	_, err := w.start()
	require.NoError(t, err)
	require.True(t, own)
	require.Contains(t, w.steps, "+notes/permissions")
	select {
	case req := <-w.authz.registered:
		require.Fail(t, "it asked another", "%v", req)
	default:
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	_, err := w.start()
	require.NoError(t, err)
	clients, err := w.env.Clients("gateway", w.telemetry)
	require.NoError(t, err)
	res, err := kernelv1connect.NewManifestServiceClient(clients.Client("notes")).GetManifest(t.Context(), &kernelv1.GetManifestRequest{})
	require.NoError(t, err)
	require.Equal(t, "notes", res.GetManifest().GetName())
	require.Equal(t, []string{"ashlar.identity.v1.AccountService"}, res.GetManifest().GetServices())

	// Each file comes after those that it imports, so that it can be used in this order.
	seen := map[string]bool{}
	for _, file := range res.GetDescriptors().GetFile() {
		require.False(t, seen[file.GetName()], "%s is there twice", file.GetName())
		for _, dependency := range file.GetDependency() {
			require.True(t, seen[dependency], "%s comes before %s", file.GetName(), dependency)
		}
		seen[file.GetName()] = true
	}
	require.True(t, seen["ashlar/identity/v1/account.proto"])
	require.True(t, seen["ashlar/options/v1/access.proto"])
}

func TestAdvertised(t *testing.T) {
	t.Parallel()
	name, err := os.Hostname()
	require.NoError(t, err)
	for _, test := range []struct{ bound, host, want string }{
		{"127.0.0.1:80", "", "127.0.0.1:80"},
		{"127.0.0.1:80", "notes.example", "notes.example:80"},
		{"0.0.0.0:80", "10.0.0.1", "10.0.0.1:80"},
		{"[::]:80", "2001:db8::1", "[2001:db8::1]:80"},
		{"0.0.0.0:80", "", net.JoinHostPort(name, "80")},
		{"[::]:80", "", net.JoinHostPort(name, "80")},
		{"[::1]:80", "", "[::1]:80"},
	} {
		got, err := service.Advertised(test.bound, test.host)
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}
	_, err = service.Advertised("nonsense", "")
	require.ErrorContains(t, err, "listen address")
}

func TestInstanceID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "mine", service.InstanceID(service.Config{InstanceID: "mine"}, "notes"))
	first, second := service.InstanceID(service.Config{}, "notes"), service.InstanceID(service.Config{}, "notes")
	require.True(t, strings.HasPrefix(first, "notes_"))
	require.NotEqual(t, first, second)
}

// nobodyThere is an address at which nobody listens. Its port is none of those that the system gives out.
const nobodyThere = "127.0.0.1:1"

func TestConsulEnvironmentNeedsAKey(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{}, &logs{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	_, err = service.NewConsulEnvironment(service.Config{}, tel.Log)
	require.ErrorContains(t, err, "ASHLAR_CLUSTER_KEY_FILE is not set")
	_, err = service.NewConsulEnvironment(service.Config{ClusterKeyFile: "/no/such/file"}, tel.Log)
	require.ErrorContains(t, err, "/no/such/file does not exist")

	path := filepath.Join(t.TempDir(), "cluster.key")
	require.NoError(t, workload.CreateClusterKey(path))
	env, err := service.NewConsulEnvironment(service.Config{ClusterKeyFile: path, ConsulAddr: nobodyThere}, tel.Log)
	require.NoError(t, err, "building asks nobody")
	group, err := lifecycle.NewGroup(tel.Log, env.Components...)
	require.NoError(t, err)
	require.ErrorContains(t, group.Start(t.Context()), "start environment")
	require.NoError(t, group.Stop(t.Context()))
	require.NoError(t, env.Components[0].Stop(t.Context()))
}

// What is for services is not for strangers.
func TestAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appear("identity", "authz")
	_, err := w.start()
	require.NoError(t, err)
	_, err = identityv1connect.NewAccountServiceClient(connect.NewClient(w.env.Hub.Transport("notes"))).LookupAccount(t.Context(), lookup)
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.Equal(t, rpcerror.ReasonServicesOnly, rpcerror.Reason(err))
}

func TestVerifyDoesNotMigrate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Migrate = "verify"
	w.appear("identity", "authz")
	_, err := w.start()
	require.ErrorContains(t, err, "not applied: 20260101000000_init.sql")
	require.ErrorContains(t, err, "run `notes db migrate`")

	// Where they were applied, it starts.
	w = newWorld(t)
	w.cfg.DatabaseURL = dbtest.MigratedSQLiteURL(t, migrations)
	w.cfg.Migrate = "verify"
	w.appear("identity", "authz")
	_, err = w.start()
	require.NoError(t, err)
	require.NoError(t, w.group.Stop(t.Context()))
}
