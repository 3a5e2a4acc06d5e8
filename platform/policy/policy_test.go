package policy_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/policy"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// authz stands in for the service.
type authz struct {
	authzv1connect.UnimplementedPolicyServiceHandler

	mu       sync.Mutex
	fails    []error // the answers to the first registrations
	modules  []*authzv1.RegisterModuleRequest
	register chan struct{}
	decide   func(context.Context, *authzv1.DecideRequest) (*authzv1.DecideResponse, error)
}

func (a *authz) RegisterModule(_ context.Context, req *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.register != nil {
		a.register <- struct{}{}
	}
	a.modules = append(a.modules, req)
	if len(a.fails) > 0 {
		err := a.fails[0]
		a.fails = a.fails[1:]
		return nil, err
	}
	return &authzv1.RegisterModuleResponse{}, nil
}

func (a *authz) Decide(ctx context.Context, req *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
	return a.decide(ctx, req)
}

func newClient(t *testing.T, a *authz) (*policy.Client, *rpc.Hub) {
	t.Helper()
	hub := rpc.NewHub()
	if a != nil {
		join(hub, a)
	}
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{}, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	clients, err := rpc.NewLocalClients(tel, workload.NewTokens("notes", workload.NewClusterKey()), hub)
	require.NoError(t, err)
	return policy.NewClient(clients), hub
}

func join(hub *rpc.Hub, a *authz) {
	server := connect.NewServer()
	authzv1connect.RegisterPolicyServiceHandler(server, a)
	hub.Add(policy.Service, server)
}

func TestDecide(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t, &authz{decide: func(ctx context.Context, req *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 2*time.Second {
			t.Error("a decision must not take long")
		}
		return &authzv1.DecideResponse{
			Allowed: req.GetUserId() == "usr_ann" && req.GetPermission() == "notes.note.read" && req.GetOrganizationId() == "org_a",
		}, nil
	}})
	for _, test := range []struct {
		user, permission, organization string
		want                           bool
	}{
		{"usr_ann", "notes.note.read", "org_a", true},
		{"usr_bob", "notes.note.read", "org_a", false},
		{"usr_ann", "notes.note.write", "org_a", false},
		{"usr_ann", "notes.note.read", "", false},
	} {
		got, err := client.Decide(t.Context(), test.user, test.permission, test.organization)
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}
}

// What cannot be decided is not allowed.
func TestDecideFails(t *testing.T) {
	t.Parallel()
	nobody, _ := newClient(t, nil)
	allowed, err := nobody.Decide(t.Context(), "usr_ann", "notes.note.read", "")
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	require.False(t, allowed)

	broken, _ := newClient(t, &authz{decide: func(context.Context, *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
		return &authzv1.DecideResponse{Allowed: true}, connect.NewError(connect.CodeInternal, "")
	}})
	allowed, err = broken.Decide(t.Context(), "usr_ann", "notes.note.read", "")
	require.Error(t, err)
	require.False(t, allowed)
}

var module = &manifest.Manifest{
	Name:        "notes",
	Version:     "1.2.3",
	Permissions: []manifest.Permission{{ID: "notes.note.read", Description: "Read notes"}},
	Roles:       []manifest.Role{{Name: "notes.reader", Description: "Reads notes", Permissions: []string{"notes.note.read"}}},
}

func TestRegisterTriesUntilAuthzTakesIt(t *testing.T) {
	t.Parallel()
	a := &authz{fails: []error{
		connect.NewError(connect.CodeUnavailable, "starting"), connect.NewError(connect.CodeAborted, "somebody was faster"),
	}}
	client, hub := newClient(t, nil)
	registered := make(chan error, 1)
	go func() { registered <- client.Register(t.Context(), module, slog.New(slog.DiscardHandler)) }()
	join(hub, a)
	require.NoError(t, <-registered)
	require.Len(t, a.modules, 3)
	last := a.modules[2]
	require.Equal(t, "notes", last.GetModule())
	require.Equal(t, "1.2.3", last.GetVersion())
	require.Equal(t, "notes.note.read", last.GetPermissions()[0].GetId())
	require.Equal(t, "notes.reader", last.GetRoles()[0].GetName())
}

func TestRegisterGivesUp(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]connect.Code{"what authz refuses": connect.CodeInvalidArgument, "who may not": connect.CodePermissionDenied} {
		a := &authz{fails: []error{connect.NewError(code, "no")}}
		client, _ := newClient(t, a)
		err := client.Register(t.Context(), module, slog.New(slog.DiscardHandler))
		require.Equal(t, code, connect.CodeOf(err), name)
		require.ErrorContains(t, err, "register permissions and roles with authz")
		require.Len(t, a.modules, 1)
	}

	ctx, cancel := context.WithCancel(t.Context())
	a := &authz{register: make(chan struct{}), fails: []error{connect.NewError(connect.CodeUnavailable, ""), connect.NewError(connect.CodeUnavailable, "")}}
	client, _ := newClient(t, a)
	ended := make(chan error, 1)
	go func() { ended <- client.Register(ctx, module, slog.New(slog.DiscardHandler)) }()
	<-a.register
	cancel()
	require.Error(t, <-ended, "when its context ends it ends")
}
