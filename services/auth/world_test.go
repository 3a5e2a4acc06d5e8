package auth

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/services/auth/internal/peertest"
	"ashlar.dev/services/auth/internal/setting"
)

const (
	ada    = "ada@example.com"
	secret = "a password that is long enough"
)

// world is the running service beside its peers, and clients of it.
type world struct {
	authv1connect.AuthServiceClient
	authv1connect.SessionServiceClient
	authv1connect.ApiKeyServiceClient
	authv1connect.KeyServiceClient

	t     *testing.T
	env   *service.Environment
	peers *peertest.Peers

	mu    sync.Mutex
	ahead time.Duration
}

// testConfig is what a service that runs in a test is told.
func testConfig(t *testing.T) Config {
	t.Helper()
	return Config{Config: service.Config{
		ListenAddr: "127.0.0.1:0", DatabaseURL: dbtest.SQLiteURL(t), DependencyTimeout: time.Minute,
	}}
}

// newWorld returns a world in which auth does not run yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	env := service.NewLocalEnvironment(workload.NewClusterKey())
	client := connect.NewClient(env.Hub.Transport("auth"))
	return &world{
		t: t, env: env, peers: peertest.Join(t, env),
		AuthServiceClient:    authv1connect.NewAuthServiceClient(client),
		SessionServiceClient: authv1connect.NewSessionServiceClient(client),
		ApiKeyServiceClient:  authv1connect.NewApiKeyServiceClient(client),
		KeyServiceClient:     authv1connect.NewKeyServiceClient(client),
	}
}

// start runs auth until stop is called, or the test ends.
func (w *world) start(cfg Config) (stop func(), err error) {
	w.t.Helper()
	ctx := w.t.Context()
	tel, err := telemetry.New(ctx, telemetry.Config{}, telemetry.Process{Service: "auth"}, io.Discard)
	require.NoError(w.t, err)
	set := setting.Cheap()
	set.Clock = w.clock
	s, err := service.New(ctx, cfg.Config, NewModule(cfg, set), w.env, tel, func(component string, err error) {
		w.t.Errorf("%s: %v", component, err)
	})
	if err != nil {
		return nil, err
	}
	group, err := lifecycle.NewGroup(tel.Log, servicetest.Unhurried(append(w.env.Components, s.Components()...))...)
	require.NoError(w.t, err)
	if err := group.Start(ctx); err != nil {
		return nil, err
	}
	stop = sync.OnceFunc(func() { assert.NoError(w.t, group.Stop(context.WithoutCancel(ctx))) })
	w.t.Cleanup(stop)
	return stop, nil
}

// run returns a world in which auth runs.
func run(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	_, err := w.start(testConfig(t))
	require.NoError(t, err)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// pass lets time pass for auth, and not for those who verify its tokens.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

// signUp signs ada up and returns her id.
func (w *world) signUp() string {
	w.t.Helper()
	res, err := w.SignUp(w.t.Context(), &authv1.SignUpRequest{Email: ada, Password: secret, DisplayName: "Ada"})
	require.NoError(w.t, err)
	return res.GetUserId()
}

// login signs ada in.
func (w *world) login() *authv1.Tokens {
	w.t.Helper()
	res, err := w.Login(w.t.Context(), &authv1.LoginRequest{Email: ada, Password: secret})
	require.NoError(w.t, err)
	return res.GetTokens()
}

func (w *world) refresh(token string) (*authv1.Tokens, error) {
	res, err := w.Refresh(w.t.Context(), &authv1.RefreshRequest{RefreshToken: token})
	return res.GetTokens(), err
}

// as is a context in which calls carry an access token.
func (w *world) as(tokens *authv1.Tokens) context.Context {
	ctx, info := connect.NewClientContext(w.t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+tokens.GetAccessToken())
	return ctx
}

// service is a context in which calls are those of another service.
func (w *world) service() context.Context {
	proof, err := workload.NewTokens("gateway", w.env.Key).Prove(w.t.Context(), "auth")
	require.NoError(w.t, err)
	ctx, info := connect.NewClientContext(w.t.Context())
	info.RequestHeader().Set(workload.Header, proof)
	return ctx
}

// refused asserts what a call was refused with.
func refused(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, code, connect.CodeOf(err), "%v", err)
	assert.Equal(t, reason, rpcerror.Reason(err), "%v", err)
}
