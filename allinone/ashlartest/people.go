package ashlartest

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
)

// Person is somebody who has signed in.
type Person struct {
	UserID string
	Email  string
	// Token is the access token, which is good for minutes.
	Token string

	client   *connect.Client
	signedIn time.Time
}

// Client returns a client, for generated constructors, that calls through the gateway with the person's token.
func (p *Person) Client() *connect.Client { return p.client }

// Trait is something that a person has or holds from the beginning.
type Trait func(*newcomer)

type newcomer struct {
	grants  []*authzv1.GrantRoleRequest
	members []string
}

// Role gives a role in an organization.
func Role(role, organizationID string) Trait {
	return func(n *newcomer) {
		n.grants = append(n.grants, &authzv1.GrantRoleRequest{Role: role, OrganizationId: organizationID})
	}
}

// RoleEverywhere gives a role that counts in all organizations, and for what is in none.
func RoleEverywhere(role string) Trait { return Role(role, "") }

// Member makes a member of an organization; that alone permits nothing.
func Member(organizationID string) Trait {
	return func(n *newcomer) { n.members = append(n.members, organizationID) }
}

// SignIn signs up somebody new, who gets all traits from the first administrator, and signs in.
func (p *Platform) SignIn(t testing.TB, traits ...Trait) *Person {
	t.Helper()
	var n newcomer
	for _, trait := range traits {
		trait(&n)
	}
	email, password := strings.ToLower(rand.Text())+"@ashlar.test", rand.Text()
	signedUp, err := authv1connect.NewAuthServiceClient(p.direct("auth", "")).SignUp(t.Context(), &authv1.SignUpRequest{
		Email: email, Password: password, DisplayName: "Somebody",
	})
	must(t, "sign up", err)
	for _, grant := range n.grants {
		grant.UserId = signedUp.GetUserId()
		_, err := authzv1connect.NewGrantServiceClient(p.direct("authz", p.Administrator(t).Token)).GrantRole(t.Context(), grant)
		must(t, "grant "+grant.GetRole(), err)
	}
	for _, organization := range n.members {
		_, err := identityv1connect.NewOrganizationServiceClient(p.direct("identity", p.Administrator(t).Token)).AddMember(t.Context(),
			&identityv1.AddMemberRequest{OrganizationId: organization, UserId: signedUp.GetUserId()})
		must(t, "make a member of "+organization, err)
	}
	return p.logIn(t, email, password)
}

// adminTokenAge is how old the administrator's token may become: tokens are good for five minutes.
const adminTokenAge = 4 * time.Minute

// Administrator returns the first administrator, who may do everything, with a token that is good for at least a minute. It
// is the same person each time.
func (p *Platform) Administrator(t testing.TB) *Person {
	t.Helper()
	p.admin.Lock()
	defer p.admin.Unlock()
	if p.admin.person == nil || time.Since(p.admin.person.signedIn) > adminTokenAge {
		p.admin.person = p.logIn(t, adminEmail, p.password.Reveal())
	}
	return p.admin.person
}

func (p *Platform) logIn(t testing.TB, email, password string) *Person {
	t.Helper()
	service, begun := authv1connect.NewAuthServiceClient(p.direct("auth", "")), time.Now()
	res, err := service.Login(t.Context(), &authv1.LoginRequest{Email: email, Password: password})
	must(t, "sign in", err)
	token := res.GetTokens().GetAccessToken()
	who, err := authv1connect.NewAuthServiceClient(p.direct("auth", token)).WhoAmI(t.Context(), &authv1.WhoAmIRequest{})
	must(t, "ask who has signed in", err)
	return &Person{UserID: who.GetUserId(), Email: email, Token: token, client: p.client(bearer(token)), signedIn: begun}
}

// Organization makes an organization, whose first member and owner is the administrator, and returns its id.
func (p *Platform) Organization(t testing.TB, displayName string) string {
	t.Helper()
	res, err := identityv1connect.NewOrganizationServiceClient(p.direct("identity", p.Administrator(t).Token)).CreateOrganization(t.Context(),
		&identityv1.CreateOrganizationRequest{DisplayName: displayName})
	must(t, "make the organization "+displayName, err)
	return res.GetOrganization().GetId()
}

// must fails the test where a step that prepares it has failed.
func must(t testing.TB, step string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", step, err)
	}
}
