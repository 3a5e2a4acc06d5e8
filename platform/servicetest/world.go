// Package servicetest runs one service in a test, among stand-ins for the core services that it calls: real requests,
// real interceptors, a real database, and a world in which the test says who may do what.
package servicetest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
)

// kid is the id of the one key that the world's tokens are signed with.
const kid = "servicetest"

// timeout bounds what should take milliseconds.
const timeout = time.Minute

// World is what a service under test finds around it. Its methods may be called from any goroutine.
type World struct {
	Env *service.Environment

	t   *testing.T
	key ed25519.PrivateKey

	mu      sync.Mutex
	allowed map[string]bool
	events  []*auditv1.Event
	arrived chan struct{}
	refusal error
}

// New returns a world in which nobody may do anything. It holds stand-ins for auth (the keys of tokens), authz
// (decisions) and audit (events), which a test may replace on its hub.
func New(t *testing.T) *World {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	w := &World{
		Env: service.NewLocalEnvironment(workload.NewClusterKey()), t: t, key: key,
		allowed: map[string]bool{}, arrived: make(chan struct{}),
	}
	w.Peer("auth", func(s *connect.Server) { authv1connect.RegisterKeyServiceHandler(s, standInKeys{w: w}) })
	w.Peer("authz", func(s *connect.Server) { authzv1connect.RegisterPolicyServiceHandler(s, standInPolicy{w: w}) })
	w.Peer("audit", func(s *connect.Server) { auditv1connect.RegisterIngestServiceHandler(s, standInIngest{w: w}) })
	return w
}

// Peer puts a stand-in for another service into the world, in the place of one of the same name.
func (w *World) Peer(name string, register func(*connect.Server)) {
	server := connect.NewServer()
	register(server)
	w.Env.Hub.Add(name, server)
	require.NoError(w.t, w.Env.Registrar.Register(context.Background(), discovery.Registration{
		Instance: discovery.Instance{ID: name, Service: name, Address: "127.0.0.1:1"},
	}))
}

// Start starts a service on a database, until the test ends.
func (w *World) Start(module service.Module, database config.Secret) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	t, err := telemetry.New(ctx, telemetry.Config{LogLevel: slog.LevelWarn, LogFormat: "text"},
		telemetry.Process{Service: module.Manifest().Name}, w.t.Output())
	require.NoError(w.t, err)
	s, err := service.New(ctx, service.Config{
		ListenAddr: "127.0.0.1:0", DatabaseURL: database, DependencyTimeout: timeout, DrainTime: time.Millisecond,
	}, module, w.Env, t, func(component string, err error) { w.t.Errorf("%s: %v", component, err) })
	require.NoError(w.t, err)
	group, err := lifecycle.NewGroup(slog.New(slog.DiscardHandler), Unhurried(append(w.Env.Components, s.Components()...))...)
	require.NoError(w.t, err)
	require.NoError(w.t, group.Start(ctx))
	w.t.Cleanup(func() { require.NoError(w.t, group.Stop(context.Background())) })
}

// Unhurried returns components with so much time to start and to stop that a machine that stalls meanwhile is not an error.
// That they keep to their own bounds is not for tests of services to find.
func Unhurried(components []lifecycle.Component) []lifecycle.Component {
	unhurried := slices.Clone(components)
	for i := range unhurried {
		unhurried[i].StartTimeout = max(unhurried[i].StartTimeout, timeout)
		unhurried[i].StopTimeout = max(unhurried[i].StopTimeout, timeout)
	}
	return unhurried
}

// Allow lets a person do something in an organization; with no organization, everywhere.
func (w *World) Allow(userID, permission, organization string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed[userID+" "+permission+" "+organization] = true
}

// Disallow undoes Allow.
func (w *World) Disallow(userID, permission, organization string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.allowed, userID+" "+permission+" "+organization)
}

// RefuseRevocation makes authz answer with err where roles are to be taken; nil lets them be taken again.
func (w *World) RefuseRevocation(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = err
}

// Token returns an access token for a person.
func (w *World) Token(userID string) string {
	now := time.Now()
	token, err := authn.Sign(authn.Claims{SessionID: "ses_" + strings.TrimPrefix(userID, "usr_"), RegisteredClaims: jwt.RegisteredClaims{
		Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: userID,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(authn.MaxLifetime)), // no test is that slow
	}}, kid, w.key)
	require.NoError(w.t, err)
	return token
}

// As returns a client of a service that sends a person's token.
func (w *World) As(userID, target string) *connect.Client {
	return w.client(target, "Authorization", "Bearer "+w.Token(userID))
}

// Anonymous returns a client of a service that sends no credentials.
func (w *World) Anonymous(target string) *connect.Client {
	return connect.NewClient(w.Env.Hub.Transport(target))
}

// AsService returns a client of a service that proves to be another service.
func (w *World) AsService(name, target string) *connect.Client {
	return w.asService(context.Background(), name, target)
}

// AsServiceFor is like AsService, for a service that acts on behalf of a person.
func (w *World) AsServiceFor(userID, name, target string) *connect.Client {
	return w.asService(authn.NewContext(context.Background(), authn.Principal{Kind: authn.User, UserID: userID}), name, target)
}

func (w *World) asService(ctx context.Context, name, target string) *connect.Client {
	proof, err := workload.NewTokens(name, w.Env.Key).Prove(ctx, target)
	require.NoError(w.t, err)
	return w.client(target, workload.Header, proof)
}

func (w *World) client(target, header, value string) *connect.Client {
	return connect.NewClient(w.Env.Hub.Transport(target), rpc.SendHeader(header, value))
}

// AwaitEvent waits until audit has an event that satisfies ok, and returns it.
func (w *World) AwaitEvent(ok func(*auditv1.Event) bool) *auditv1.Event {
	w.t.Helper()
	deadline := time.After(timeout)
	for {
		w.mu.Lock()
		events, arrived := slices.Clone(w.events), w.arrived
		w.mu.Unlock()
		if i := slices.IndexFunc(events, ok); i >= 0 {
			return events[i]
		}
		select {
		case <-arrived:
		case <-deadline:
			require.Fail(w.t, "the event did not arrive", "those that did: %v", events)
		}
	}
}

// Action tells events by their action.
func Action(action string) func(*auditv1.Event) bool {
	return func(e *auditv1.Event) bool { return e.GetAction() == action }
}

type standInKeys struct {
	authv1connect.UnimplementedKeyServiceHandler

	w *World
}

func (k standInKeys) GetJwks(context.Context, *authv1.GetJwksRequest) (*authv1.GetJwksResponse, error) {
	public, _ := k.w.key.Public().(ed25519.PublicKey)
	return &authv1.GetJwksResponse{Keys: []*authv1.Jwk{{
		Kty: "OKP", Crv: "Ed25519", Alg: "EdDSA", Use: "sig", Kid: kid, X: base64.RawURLEncoding.EncodeToString(public),
	}}}, nil
}

type standInPolicy struct {
	authzv1connect.UnimplementedPolicyServiceHandler

	w *World
}

func (standInPolicy) RegisterModule(context.Context, *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	return &authzv1.RegisterModuleResponse{}, nil
}

func (p standInPolicy) Decide(_ context.Context, req *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	prefix := req.GetUserId() + " " + req.GetPermission() + " "
	return &authzv1.DecideResponse{Allowed: p.w.allowed[prefix] || p.w.allowed[prefix+req.GetOrganizationId()]}, nil
}

// EnsureGrant notes the role, for Holds.
func (p standInPolicy) EnsureGrant(_ context.Context, req *authzv1.EnsureGrantRequest) (*authzv1.EnsureGrantResponse, error) {
	p.w.Allow(req.GetUserId(), "role:"+req.GetRole(), req.GetOrganizationId())
	return &authzv1.EnsureGrantResponse{}, nil
}

// RevokeGrants takes all or, after RefuseRevocation, nothing.
func (p standInPolicy) RevokeGrants(_ context.Context, req *authzv1.RevokeGrantsRequest) (*authzv1.RevokeGrantsResponse, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.refusal != nil {
		return nil, p.w.refusal
	}
	maps.DeleteFunc(p.w.allowed, func(key string, _ bool) bool {
		return strings.HasPrefix(key, req.GetUserId()+" ") && strings.HasSuffix(key, " "+req.GetOrganizationId())
	})
	return &authzv1.RevokeGrantsResponse{}, nil
}

type standInIngest struct {
	auditv1connect.UnimplementedIngestServiceHandler

	w *World
}

func (i standInIngest) AppendEvents(_ context.Context, req *auditv1.AppendEventsRequest) (*auditv1.AppendEventsResponse, error) {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	i.w.events = append(i.w.events, req.GetEvents()...)
	close(i.w.arrived)
	i.w.arrived = make(chan struct{})
	return &auditv1.AppendEventsResponse{}, nil
}

// Holds tells whether a person was given a role in an organization.
func (w *World) Holds(userID, role, organization string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.allowed[userID+" role:"+role+" "+organization]
}
