package identity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/servicetest"
)

// patience bounds what takes a moment on a machine that has nothing else to do.
const patience = 2 * time.Minute

// The programs of three releases on one database, each beside the next: docs/migrations.md tells the story.
func TestUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two older programs")
	}
	programs := buildReleases(t)
	around := newSurroundings(t)
	dbtest.EachURL(t, func(t *testing.T, database config.Secret) {
		database = dbtest.With(database, "busy_timeout", "") // the older ones take no parameters
		before := around.start(t, programs["before"], database)
		veteran := before.create(t)
		before.deactivate(t, veteran)
		survivor := before.create(t)

		expand := around.start(t, programs["expand"], database)
		found := expand.get(t, veteran)
		require.Equal(t, identityv1.UserState_USER_STATE_DEACTIVATED, found.GetState())
		require.NotNil(t, found.GetDeactivatedAt(), "what was there has a time, too")
		require.Equal(t, identityv1.UserState_USER_STATE_ACTIVE, expand.get(t, survivor).GetState())
		sideBySide(t, before, expand)

		// Who crashes after the other has migrated comes back.
		before.kill(t)
		before = around.start(t, programs["before"], database)
		require.Contains(t, before.log(), "this program can work with that")
		sideBySide(t, before, expand)
		before.kill(t)

		contract := around.start(t, programs["contract"], database)
		require.Equal(t, found.GetDeactivatedAt().AsTime(), contract.get(t, veteran).GetDeactivatedAt().AsTime())
		sideBySide(t, expand, contract)
		expand.kill(t)
		expand = around.start(t, programs["expand"], database)
		sideBySide(t, expand, contract)

		all := contract.list(t)
		refused := around.run(t, programs["before"], database)
		select {
		case <-refused.ended:
		case <-time.After(patience):
			require.Fail(t, "the first release runs on the schema of the third", refused.log())
		}
		require.NotZero(t, refused.command.ProcessState.ExitCode())
		require.Contains(t, refused.log(), "the schema of the database is newer than this program")
		require.Contains(t, refused.log(), "start the release that made that version, or a later one")
		require.Equal(t, all, contract.list(t), "nobody is missing")
		sideBySide(t, expand, contract)
	})
}

// sideBySide uses two programs on one database: what is done at one of them is seen at the other.
func sideBySide(t *testing.T, older, newer *program) {
	t.Helper()
	for _, each := range [][2]*program{{older, newer}, {newer, older}} {
		here, there := each[0], each[1]
		id := here.create(t)
		first := there.get(t, id)
		here.deactivate(t, id)
		off := there.get(t, id)
		require.Equal(t, identityv1.UserState_USER_STATE_DEACTIVATED, off.GetState())
		there.reactivate(t, id)
		require.Equal(t, identityv1.UserState_USER_STATE_ACTIVE, here.get(t, id).GetState())
		there.deactivate(t, id)
		require.Equal(t, identityv1.UserState_USER_STATE_DEACTIVATED, here.get(t, id).GetState())
		here.reactivate(t, id)
		require.Equal(t, identityv1.UserState_USER_STATE_ACTIVE, there.get(t, id).GetState())
		if there == newer {
			require.NotNil(t, off.GetDeactivatedAt())
			require.Nil(t, newer.get(t, id).GetDeactivatedAt())
			require.EqualValues(t, 1, first.GetVersion())
			require.EqualValues(t, 5, newer.get(t, id).GetVersion(), "each change counts, whoever made it")
		}
	}
	// Who edits at the newer one learns of an edit at the older.
	id := newer.create(t)
	seen := newer.get(t, id)
	require.NoError(t, older.rename(id, 0))
	require.Equal(t, "USER_CHANGED", rpcerror.Reason(newer.rename(id, seen.GetVersion())))
	require.NoError(t, newer.rename(id, seen.GetVersion()+1))

	// Both write at once.
	const writes = 10
	var both sync.WaitGroup
	ids := make([][writes]string, 2)
	for i, each := range []*program{older, newer} {
		both.Go(func() {
			for n := range writes {
				ids[i][n] = each.create(t)
				each.deactivate(t, ids[i][n])
			}
		})
	}
	both.Wait()
	for i, each := range []*program{newer, older} {
		for _, id := range ids[i] {
			require.Equal(t, identityv1.UserState_USER_STATE_DEACTIVATED, each.get(t, id).GetState())
		}
	}
}

// buildReleases builds identity as it was and as it is.
func buildReleases(t *testing.T) map[string]string {
	t.Helper()
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "git", args...).Output()
		return strings.TrimSpace(string(out)), err
	}
	if shallow, err := git("rev-parse", "--is-shallow-repository"); err != nil || shallow == "true" {
		const missing = "the commits in testdata/releases.txt are not here: this is no clone, or a shallow one (git fetch --unshallow)"
		require.NotEqual(t, "true", os.Getenv("CI"), missing+", and in CI no test may be skipped")
		t.Skip(missing)
	}
	content, err := os.ReadFile("testdata/releases.txt")
	require.NoError(t, err)
	programs := map[string]string{"contract": build(t, ".", "contract")}
	for line := range strings.Lines(string(content)) {
		name, commit, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		_, err := git("merge-base", "--is-ancestor", commit, "HEAD")
		require.NoError(t, err, "%s is not in the history of HEAD: merge, never rebase", commit)
		source, archive := t.TempDir(), filepath.Join(t.TempDir(), "source.tar")
		top, err := git("rev-parse", "--show-toplevel")
		require.NoError(t, err)
		_, err = git("-C", top, "archive", "--output", archive, commit)
		require.NoError(t, err)
		out, err := exec.CommandContext(t.Context(), "tar", "-x", "-C", source, "-f", archive).CombinedOutput()
		require.NoError(t, err, "%s", out)
		programs[name] = build(t, filepath.Join(source, "services/identity"), name)
	}
	require.Len(t, programs, 3)
	return programs
}

func build(t *testing.T, folder, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	// As tools/build does: the build cache then has what they have in common with each other, and with the programs in .bin.
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/identity")
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// surroundings are what a process of identity needs: Consul, auth's keys, and an authz that allows everything.
type surroundings struct {
	world   *servicetest.World
	consul  string
	keyFile string
}

func newSurroundings(t *testing.T) *surroundings {
	t.Helper()
	s := &surroundings{world: servicetest.New(t), consul: consultest.Start(t).Addr, keyFile: filepath.Join(t.TempDir(), "cluster.key")}
	require.NoError(t, workload.CreateClusterKey(s.keyFile))
	key, err := workload.ReadClusterKey(s.keyFile)
	require.NoError(t, err)
	registry, err := consul.New(consul.Config{Address: s.consul, Platform: key.Fingerprint()}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, registry.Close()) })
	server := connect.NewServer()
	authv1connect.RegisterKeyServiceHandler(server, worldKeys{from: authv1connect.NewKeyServiceClient(s.world.Anonymous("auth"))})
	authzv1connect.RegisterPolicyServiceHandler(server, allowAll{})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serving := rpc.NewHTTPServer(slog.New(slog.DiscardHandler), mux)
	done := make(chan struct{})
	go func() { defer close(done); _ = serving.Serve(listener) }()
	t.Cleanup(func() { _ = serving.Close(); <-done })
	for _, name := range []string{"auth", "authz"} {
		require.NoError(t, registry.Register(t.Context(), discovery.Registration{
			Instance: discovery.Instance{ID: name, Service: name, Address: listener.Addr().String(), Version: "1.0.0"},
		}))
	}
	return s
}

// worldKeys are the keys of the world's tokens.
type worldKeys struct {
	authv1connect.UnimplementedKeyServiceHandler

	from authv1connect.KeyServiceClient
}

func (k worldKeys) GetJwks(ctx context.Context, req *authv1.GetJwksRequest) (*authv1.GetJwksResponse, error) {
	return k.from.GetJwks(ctx, req)
}

type allowAll struct {
	authzv1connect.UnimplementedPolicyServiceHandler
}

func (allowAll) RegisterModule(context.Context, *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	return &authzv1.RegisterModuleResponse{}, nil
}

func (allowAll) Decide(context.Context, *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
	return &authzv1.DecideResponse{Allowed: true}, nil
}

// program is a process of identity.
type program struct {
	command *exec.Cmd
	ended   chan struct{}
	output  *output
	users   identityv1connect.UserServiceClient
}

// output is what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (p *program) log() string {
	p.output.mu.Lock()
	defer p.output.mu.Unlock()
	return p.output.text.String()
}

// run starts a process.
func (s *surroundings) run(t *testing.T, executable string, database config.Secret) *program {
	t.Helper()
	p := &program{command: exec.CommandContext(t.Context(), executable), ended: make(chan struct{}), output: &output{}}
	p.command.Env = append(os.Environ(), "ASHLAR_LISTEN_ADDR=127.0.0.1:0", "ASHLAR_LOG_FORMAT=json", "ASHLAR_DATABASE_URL="+database.Reveal(),
		"ASHLAR_CLUSTER_KEY_FILE="+s.keyFile, "ASHLAR_CONSUL_ADDR="+s.consul)
	p.command.Stdout, p.command.Stderr = p.output, p.output
	require.NoError(t, p.command.Start())
	go func() { defer close(p.ended); _ = p.command.Wait() }()
	t.Cleanup(func() { _ = p.command.Process.Kill(); <-p.ended })
	return p
}

// start starts a process and waits until it serves.
func (s *surroundings) start(t *testing.T, executable string, database config.Secret) *program {
	t.Helper()
	p := s.run(t, executable, database)
	p.await(t, func() bool { return p.address() != "" })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	p.users = identityv1connect.NewUserServiceClient(connect.NewClient(
		connecthttp.NewTransport(client, "http://"+p.address()), rpc.SendHeader("Authorization", "Bearer "+s.world.Token("usr_root")),
	))
	p.await(t, func() bool {
		_, err := p.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 1})
		return err == nil
	})
	return p
}

// await waits for a condition, and no longer than the process runs.
func (p *program) await(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-p.ended:
			require.Fail(t, "it has ended", p.log())
		case <-deadline:
			require.Fail(t, "it does not serve", p.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// address is where it serves, once it has said so.
func (p *program) address() string {
	for line := range strings.Lines(p.log()) {
		var said struct {
			Msg     string `json:"msg"`
			Address string `json:"address"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "ready" {
			return said.Address
		}
	}
	return ""
}

// kill ends it as a crash does.
func (p *program) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.command.Process.Kill())
	<-p.ended
}

// created counts users: two may be made in one moment.
var created atomic.Int64

func (p *program) create(t *testing.T) string {
	t.Helper()
	res, err := p.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: fmt.Sprintf("%d@example.com", created.Add(1)), DisplayName: "Zoe"})
	assert.NoError(t, err)
	return res.GetUser().GetId()
}

func (p *program) get(t *testing.T, id string) *identityv1.User {
	t.Helper()
	res, err := p.users.GetUser(t.Context(), &identityv1.GetUserRequest{UserId: id})
	require.NoError(t, err)
	return res.GetUser()
}

func (p *program) deactivate(t *testing.T, id string) {
	t.Helper()
	_, err := p.users.DeactivateUser(t.Context(), &identityv1.DeactivateUserRequest{UserId: id})
	assert.NoError(t, err)
}

func (p *program) reactivate(t *testing.T, id string) {
	t.Helper()
	_, err := p.users.ReactivateUser(t.Context(), &identityv1.ReactivateUserRequest{UserId: id})
	assert.NoError(t, err)
}

func (p *program) rename(id string, version int64) error {
	_, err := p.users.UpdateUser(context.Background(), &identityv1.UpdateUserRequest{
		User: &identityv1.User{Id: id, DisplayName: "Renamed", Version: version}, UpdateMask: displayName,
	})
	return err
}

// list returns the ids of all, in the order of their creation.
func (p *program) list(t *testing.T) []string {
	t.Helper()
	var ids []string
	for token := ""; ; {
		res, err := p.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 200, PageToken: token})
		require.NoError(t, err)
		for _, u := range res.GetUsers() {
			ids = append(ids, u.GetId())
		}
		if token = res.GetNextPageToken(); token == "" {
			return ids
		}
	}
}
