package loader_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/loader"
	"ashlar.dev/platform/service"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

var migrations = fstest.MapFS{"sqlite/20260101000000_init.sql": {Mode: fs.ModePerm, Data: []byte(`-- +goose Up
CREATE TABLE outbox_events (id integer PRIMARY KEY AUTOINCREMENT, event_id text NOT NULL UNIQUE, payload blob NOT NULL, created_at integer NOT NULL);
CREATE TABLE outbox_leases (id text NOT NULL PRIMARY KEY, holder text NOT NULL, expires_at integer NOT NULL);
`)}}

// diary is what modules do, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

// at tells where in the diary each entry is.
func (d *diary) at() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := map[string]int{}
	for i, entry := range d.entries {
		at[entry] = i
	}
	return at
}

// module is a service whose one component, work, notes in the diary when it starts and stops.
type module struct {
	manifest *manifest.Manifest
	work     lifecycle.Component
	register func(*connect.Server)
	fails    error // to build
	host     *service.Host
}

func (m *module) Manifest() *manifest.Manifest { return m.manifest }

func (m *module) Migrations() fs.FS { return migrations }

func (m *module) Build(host *service.Host) (*service.Parts, error) {
	m.host = host
	parts := &service.Parts{Register: m.register, Components: []lifecycle.Component{m.work}}
	if m.manifest.Name == "authz" {
		parts.RegisterModule = lifecycle.Component{Start: func(context.Context) error { return nil }}
	}
	return parts, m.fails
}

// world is modules that are loaded together.
type world struct {
	*testing.T
	*diary

	env     *service.Environment
	cfg     service.Config
	modules []service.Module
	fakes   map[string]*module
	failed  chan string
	ingest  *ingest
}

// newWorld returns a world with stand-ins for authz and audit, and modules that are written as `name: dependency, …`.
func newWorld(t *testing.T, lines ...string) *world {
	t.Helper()
	w := &world{
		T: t, diary: &diary{}, env: service.NewLocalEnvironment(workload.NewClusterKey()), fakes: map[string]*module{}, failed: make(chan string, 1), ingest: &ingest{},
		cfg: service.Config{ListenAddr: "127.0.0.1:0", DatabaseURL: "sqlite::memory:", DependencyTimeout: patience, MigrationTimeout: patience, DrainTime: time.Millisecond},
	}
	for _, line := range append([]string{"authz", "audit: authz"}, lines...) {
		w.add(line)
	}
	w.fakes["authz"].register = func(s *connect.Server) { authzv1connect.RegisterPolicyServiceHandler(s, policy{}) }
	w.fakes["audit"].register = func(s *connect.Server) { auditv1connect.RegisterIngestServiceHandler(s, w.ingest) }
	return w
}

var rpcs = map[string]string{"authz": "ashlar.authz.v1.PolicyService", "audit": "ashlar.audit.v1.IngestService"}

func (w *world) add(line string) {
	w.Helper()
	name, dependsOn, _ := strings.Cut(line, ": ")
	m, err := manifest.Parse(name+".yaml", fmt.Appendf(nil, "name: %s\nversion: 1.2.0\nservices: [%s]\ndependsOn: [%s]\n", name, rpcs[name], dependsOn))
	require.NoError(w, err)
	fake := &module{manifest: m, register: func(*connect.Server) {}, work: lifecycle.Component{
		Name:  "work",
		Start: func(context.Context) error { w.note("+" + name); return nil },
		Stop:  func(context.Context) error { w.note("-" + name); return nil },
	}}
	w.fakes[name] = fake
	w.modules = append(w.modules, fake)
}

func (w *world) load(wanted ...string) (*loader.Loader, error) {
	return loader.New(w.Context(), loader.Config{
		Environment: w.env, Service: func(string) service.Config { return w.cfg }, Out: w.Output(), Log: slog.New(slog.NewTextHandler(w.Output(), nil)),
		Fail: func(component string, _ error) { w.failed <- component },
	}, w.modules, wanted...)
}

func (w *world) mustLoad(wanted ...string) *loader.Loader {
	w.Helper()
	l, err := w.load(wanted...)
	require.NoError(w, err)
	return l
}

// registered returns the names of all services in the registry.
func (w *world) registered() []string {
	names, _, _ := w.env.Directory.Services().Get()
	return names
}

// states returns what has become of each part, as `name state`.
func states(r loader.Report) []string {
	var all []string
	for _, p := range r.Parts {
		all = append(all, p.Name+" "+string(p.State))
	}
	return all
}

func named(r loader.Report, name string) loader.Part {
	return r.Parts[slices.IndexFunc(r.Parts, func(p loader.Part) bool { return p.Name == name })]
}

// policy stands in for authz.
type policy struct {
	authzv1connect.UnimplementedPolicyServiceHandler
}

func (policy) RegisterModule(context.Context, *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	return &authzv1.RegisterModuleResponse{}, nil
}

// ingest stands in for audit.
type ingest struct {
	auditv1connect.UnimplementedIngestServiceHandler

	mu        sync.Mutex
	delivered []string // service and action
}

func (i *ingest) AppendEvents(_ context.Context, req *auditv1.AppendEventsRequest) (*auditv1.AppendEventsResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, e := range req.GetEvents() {
		i.delivered = append(i.delivered, e.GetService()+" "+e.GetAction())
	}
	return &auditv1.AppendEventsResponse{}, nil
}

// record has a service put an event into its outbox.
func (w *world) record(name, action string) error {
	host := w.fakes[name].host
	return host.Trail.Append(context.Background(), host.Database.DB, audit.Change{Action: action})
}
