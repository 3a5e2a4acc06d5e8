package service_test

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ashlar.dev/ent/database/dbtest"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/policy"
	"ashlar.dev/platform/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// The module under test serves an RPC service of identity's schema, which is as good as any.
const moduleYAML = `
name: notes
version: 1.2.3
services: [ashlar.identity.v1.AccountService]
dependsOn: [identity, authz]
database: {schema: notes}
permissions: [{id: notes.note.read, description: Read notes}]
`

var migrations = fstest.MapFS{"sqlite/20260101000000_init.sql": {Mode: fs.ModePerm, Data: []byte(`-- +goose Up
CREATE TABLE outbox_events (id integer PRIMARY KEY AUTOINCREMENT, event_id text NOT NULL UNIQUE, payload blob NOT NULL, created_at integer NOT NULL);
CREATE TABLE outbox_leases (id text NOT NULL PRIMARY KEY, holder text NOT NULL, expires_at integer NOT NULL);
`)}}

// notes is the module under test.
type notes struct {
	manifest *manifest.Manifest
	build    func(*service.Host) (*service.Parts, error)
}

func (n *notes) Manifest() *manifest.Manifest { return n.manifest }

func (n *notes) Migrations() fs.FS { return migrations }

func (n *notes) Build(host *service.Host) (*service.Parts, error) { return n.build(host) }

// accounts is the handler of the module under test.
type accounts struct {
	identityv1connect.UnimplementedAccountServiceHandler

	lookup func(context.Context) error
}

func (a accounts) LookupAccount(ctx context.Context, _ *identityv1.LookupAccountRequest) (*identityv1.LookupAccountResponse, error) {
	if a.lookup != nil {
		if err := a.lookup(ctx); err != nil {
			return nil, err
		}
	}
	return &identityv1.LookupAccountResponse{}, nil
}

// authz stands in for the service that takes permissions.
type authz struct {
	authzv1connect.UnimplementedPolicyServiceHandler

	registered chan *authzv1.RegisterModuleRequest
}

func (a authz) RegisterModule(_ context.Context, req *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	a.registered <- req
	return &authzv1.RegisterModuleResponse{}, nil
}

// world is one service, in an environment in which others can be said to be there.
type world struct {
	*testing.T

	env        *service.Environment
	telemetry  *telemetry.Telemetry
	cfg        service.Config
	module     *notes
	handler    accounts
	authz      authz
	components []lifecycle.Component
	logs       *logs

	group *lifecycle.Group
	mu    sync.Mutex
	steps []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, env: service.NewLocalEnvironment(workload.NewClusterKey()), authz: authz{registered: make(chan *authzv1.RegisterModuleRequest, 10)}, logs: &logs{}}
	var err error
	w.telemetry, err = telemetry.New(t.Context(), telemetry.Config{LogFormat: "text"}, telemetry.Process{Service: "notes"}, w.logs)
	require.NoError(t, err)
	w.cfg = service.Config{
		ListenAddr: "127.0.0.1:0", OpsAddr: freeAddress(t), DatabaseURL: dbtest.SQLiteURL(t), DependencyTimeout: patience, DrainTime: time.Millisecond,
		InstanceID: "notes_1",
	}
	w.module = &notes{manifest: manifest.MustParse([]byte(moduleYAML)), build: func(*service.Host) (*service.Parts, error) {
		return &service.Parts{Components: w.components, Register: func(server *connect.Server) {
			identityv1connect.RegisterAccountServiceHandler(server, w.handler)
		}}, nil
	}}
	server := connect.NewServer()
	authzv1connect.RegisterPolicyServiceHandler(server, w.authz)
	w.env.Hub.Add(policy.Service, server)
	return w
}

// freeAddress is an address that is free: tests have to know it before the service listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// appear says that a service is there.
func (w *world) appear(names ...string) {
	w.Helper()
	for _, name := range names {
		w.appearAs(name+"_1", name, "")
	}
}

// appearAs says that an instance of some version is there.
func (w *world) appearAs(id, name, version string) {
	w.Helper()
	require.NoError(w, w.env.Registrar.Register(w.Context(), discovery.Registration{
		Instance: discovery.Instance{ID: id, Service: name, Address: "127.0.0.1:1", Version: version},
	}))
}

// build puts the service together.
func (w *world) build() (*service.Service, error) {
	return service.New(w.Context(), w.cfg, w.module, w.env, w.telemetry, func(component string, err error) { w.group.Fail(component, err) })
}

// start starts it; the caller, or the end of the test, stops it.
func (w *world) start() (*service.Service, error) {
	w.Helper()
	s, err := w.build()
	require.NoError(w, err)
	components := slices.Concat(w.env.Components, s.Components())
	for i, c := range components {
		components[i] = w.noting(c)
	}
	w.group, err = lifecycle.NewGroup(w.telemetry.Log, components...)
	require.NoError(w, err)
	w.Cleanup(func() { _ = w.group.Stop(context.Background()) })
	return s, w.group.Start(w.Context())
}

func (w *world) noting(c lifecycle.Component) lifecycle.Component {
	start, stop := c.Start, c.Stop
	c.Start = func(ctx context.Context) error {
		w.note("+" + c.Name)
		if start == nil {
			return nil
		}
		return start(ctx)
	}
	c.Stop = func(ctx context.Context) error {
		w.note("-" + c.Name)
		if stop == nil {
			return nil
		}
		return stop(ctx)
	}
	return c
}

func (w *world) note(step string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, step)
}

// client calls the service over HTTP, as another process would.
func (w *world) client() identityv1connect.AccountServiceClient {
	w.Helper()
	clients, err := rpc.NewClients(w.telemetry, workload.NewTokens("shop", w.env.Key), w.env.RoundTripper)
	require.NoError(w, err)
	return identityv1connect.NewAccountServiceClient(clients.Client("notes"))
}

var lookup = &identityv1.LookupAccountRequest{By: &identityv1.LookupAccountRequest_UserId{UserId: "usr_1"}}

// get asks the operations listener; 0 where it cannot be reached.
func (w *world) get(path string) (int, string) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+w.cfg.OpsAddr+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, strings.TrimSpace(string(body))
}

// until waits until /readyz answers so.
func (w *world) until(status int, says string) {
	w.Helper()
	var last string
	require.Eventually(w, func() bool {
		code, body := w.get("/readyz")
		last = body
		return code == status && strings.Contains(body, says)
	}, patience, time.Millisecond, "/readyz never says %d %s; last: %s", status, says, last)
}

func (w *world) instances(name string) []discovery.Instance {
	instances, _, _ := w.env.Directory.Instances(name).Get()
	return instances
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
