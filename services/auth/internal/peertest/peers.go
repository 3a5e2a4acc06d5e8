// Package peertest has stand-ins for the services that auth calls, for tests in one process: they answer as identity,
// authz and audit do, and fail when they are told to.
package peertest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/service"
)

// awaitTimeout is far longer than a delivery takes.
const awaitTimeout = 30 * time.Second

// Peers are the services that auth calls.
type Peers struct {
	Identity *Identity
	Authz    *Authz
	Audit    *Audit
}

// Join adds peers to an environment whose services live in this process.
func Join(t *testing.T, env *service.Environment) *Peers {
	t.Helper()
	p := &Peers{
		Identity: &Identity{users: map[string]*identityv1.User{}},
		Authz:    &Authz{grants: map[string]int{}},
		Audit:    &Audit{changed: make(chan struct{})},
	}
	for name, register := range map[string]func(*connect.Server){
		"identity": func(s *connect.Server) { identityv1connect.RegisterAccountServiceHandler(s, p.Identity) },
		"authz":    func(s *connect.Server) { authzv1connect.RegisterPolicyServiceHandler(s, p.Authz) },
		"audit":    func(s *connect.Server) { auditv1connect.RegisterIngestServiceHandler(s, p.Audit) },
	} {
		server := connect.NewServer()
		register(server)
		env.Hub.Add(name, server)
		err := env.Registrar.Register(t.Context(), discovery.Registration{Instance: discovery.Instance{
			ID: name + "-1", Service: name, Address: "127.0.0.1:1", Version: "0.0.0",
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Identity stands in for identity.
type Identity struct {
	identityv1connect.UnimplementedAccountServiceHandler

	mu         sync.Mutex
	users      map[string]*identityv1.User
	crashes    int
	down       bool
	registered func(userID string)
}

// CrashAfterRegister makes the next n registrations fail after they have been made.
func (i *Identity) CrashAfterRegister(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.crashes = n
}

// OnRegistered has f called after each registration, before it is answered.
func (i *Identity) OnRegistered(f func(userID string)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.registered = f
}

// SetDown takes it away, or brings it back.
func (i *Identity) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Add adds a person, as an administrator would.
func (i *Identity) Add(userID, email string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users[userID] = &identityv1.User{Id: userID, Email: email, DisplayName: "Added", State: identityv1.UserState_USER_STATE_ACTIVE}
}

// Deactivate deactivates a person.
func (i *Identity) Deactivate(userID string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users[userID].State = identityv1.UserState_USER_STATE_DEACTIVATED
}

// Users returns the ids of all people, sorted.
func (i *Identity) Users() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(maps.Keys(i.users))
}

// RegisterAccount implements ashlar.identity.v1.AccountService.
func (i *Identity) RegisterAccount(_ context.Context, req *identityv1.RegisterAccountRequest) (*identityv1.RegisterAccountResponse, error) {
	res, registered, err := i.register(req)
	if err == nil && registered != nil {
		registered(req.GetUserId())
	}
	return res, err
}

func (i *Identity) register(req *identityv1.RegisterAccountRequest) (*identityv1.RegisterAccountResponse, func(string), error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		return nil, nil, away()
	}
	email := strings.ToLower(req.GetEmail())
	if !strings.Contains(email, "@") {
		return nil, nil, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, "email: not an address")
	}
	if u := i.byEmail(email); u != nil && u.GetId() != req.GetUserId() {
		return nil, nil, rpcerror.New(connect.CodeAlreadyExists, "EMAIL_TAKEN", "the email address belongs to somebody")
	}
	u := &identityv1.User{
		Id: req.GetUserId(), Email: email, DisplayName: req.GetDisplayName(), State: identityv1.UserState_USER_STATE_ACTIVE,
	}
	i.users[u.GetId()] = u
	if i.crashes > 0 {
		i.crashes--
		return nil, nil, away()
	}
	return &identityv1.RegisterAccountResponse{User: clone(u)}, i.registered, nil
}

// LookupAccount implements ashlar.identity.v1.AccountService.
func (i *Identity) LookupAccount(_ context.Context, req *identityv1.LookupAccountRequest) (*identityv1.LookupAccountResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		return nil, away()
	}
	u := i.users[req.GetUserId()]
	if req.GetEmail() != "" {
		u = i.byEmail(strings.ToLower(req.GetEmail()))
	}
	if u == nil {
		return nil, rpcerror.New(connect.CodeNotFound, "USER_NOT_FOUND", "no such user")
	}
	return &identityv1.LookupAccountResponse{User: clone(u)}, nil
}

func clone(u *identityv1.User) *identityv1.User {
	out := &identityv1.User{}
	proto.Merge(out, u)
	return out
}

func (i *Identity) byEmail(email string) *identityv1.User {
	for _, u := range i.users {
		if u.GetEmail() == email {
			return u
		}
	}
	return nil
}

func away() error { return connect.NewError(connect.CodeUnavailable, "away") }

// Authz stands in for authz: whoever has a grant may do everything.
type Authz struct {
	authzv1connect.UnimplementedPolicyServiceHandler

	mu     sync.Mutex
	grants map[string]int
	fails  int
}

// FailGrants makes the next n grants fail.
func (a *Authz) FailGrants(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fails = n
}

// Grants returns how often who was given which role: keys are "user role organization".
func (a *Authz) Grants() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.grants)
}

// RegisterModule implements ashlar.authz.v1.PolicyService.
func (a *Authz) RegisterModule(context.Context, *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	return &authzv1.RegisterModuleResponse{}, nil
}

// EnsureGrant implements ashlar.authz.v1.PolicyService.
func (a *Authz) EnsureGrant(_ context.Context, req *authzv1.EnsureGrantRequest) (*authzv1.EnsureGrantResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails > 0 {
		a.fails--
		return nil, away()
	}
	a.grants[strings.Join([]string{req.GetUserId(), req.GetRole(), req.GetOrganizationId()}, " ")]++
	return &authzv1.EnsureGrantResponse{}, nil
}

// Decide implements ashlar.authz.v1.PolicyService.
func (a *Authz) Decide(_ context.Context, req *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for grant := range a.grants {
		if strings.HasPrefix(grant, req.GetUserId()+" ") {
			return &authzv1.DecideResponse{Allowed: true}, nil
		}
	}
	return &authzv1.DecideResponse{}, nil
}

// Audit stands in for audit.
type Audit struct {
	auditv1connect.UnimplementedIngestServiceHandler

	mu      sync.Mutex
	events  []*auditv1.Event
	changed chan struct{}
}

// AppendEvents implements ashlar.audit.v1.IngestService.
func (a *Audit) AppendEvents(_ context.Context, req *auditv1.AppendEventsRequest) (*auditv1.AppendEventsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, req.GetEvents()...)
	close(a.changed)
	a.changed = make(chan struct{})
	return &auditv1.AppendEventsResponse{}, nil
}

// Await waits until n events with an action have arrived, and returns them.
func (a *Audit) Await(t *testing.T, action string, n int) []*auditv1.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), awaitTimeout)
	defer cancel()
	for {
		a.mu.Lock()
		var found []*auditv1.Event
		for _, e := range a.events {
			if e.GetAction() == action {
				found = append(found, e)
			}
		}
		changed := a.changed
		a.mu.Unlock()
		if len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited for %d events %s, and there are %d", n, action, len(found))
		}
	}
}
