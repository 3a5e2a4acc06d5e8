package e2e

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

// The procedures that tests call.
const (
	signUp             = "ashlar.auth.v1.AuthService/SignUp"
	login              = "ashlar.auth.v1.AuthService/Login"
	whoAmI             = "ashlar.auth.v1.AuthService/WhoAmI"
	createOrganization = "ashlar.identity.v1.OrganizationService/CreateOrganization"
	listOrganizations  = "ashlar.identity.v1.OrganizationService/ListOrganizations"
	updateOrganization = "ashlar.identity.v1.OrganizationService/UpdateOrganization"
	listPermissions    = "ashlar.authz.v1.PermissionService/ListPermissions"
	queryEvents        = "ashlar.audit.v1.AuditService/QueryEvents"
)

const password = "correct horse battery staple"

// person is somebody who has signed in.
type person struct {
	id, email, token string
}

// invoke calls a procedure that must succeed, and reads its response into response.
func invoke(t testing.TB, url, token, procedure string, request, response proto.Message) {
	t.Helper()
	a := speeches[1].send(t, call{url: url, procedure: procedure, token: token, message: request})
	require.Empty(t, a.code, "%s: %s", procedure, a)
	require.NoError(t, proto.Unmarshal(a.payload, response))
}

// signIn signs somebody in.
func signIn(t testing.TB, url, email, secret string) person {
	t.Helper()
	var tokens authv1.LoginResponse
	invoke(t, url, "", login, &authv1.LoginRequest{Email: email, Password: secret}, &tokens)
	var me authv1.WhoAmIResponse
	token := tokens.GetTokens().GetAccessToken()
	invoke(t, url, token, whoAmI, &authv1.WhoAmIRequest{}, &me)
	return person{id: me.GetUserId(), email: me.GetEmail(), token: token}
}

// newcomer signs somebody up whom nobody knows, and in.
func newcomer(t testing.TB, url string) person {
	t.Helper()
	email := strings.ToLower(rand.Text()) + "@example.com"
	invoke(t, url, "", signUp, &authv1.SignUpRequest{Email: email, Password: password, DisplayName: "Newcomer"}, &authv1.SignUpResponse{})
	return signIn(t, url, email, password)
}

// admin signs the first administrator in.
func (p *platform) admin(t testing.TB) person {
	t.Helper()
	return signIn(t, p.url(), adminEmail, p.password(t))
}

// newOrganization creates an organization and returns its id.
func newOrganization(t testing.TB, url string, owner person) string {
	t.Helper()
	var created identityv1.CreateOrganizationResponse
	invoke(t, url, owner.token, createOrganization, &identityv1.CreateOrganizationRequest{DisplayName: "Acme"}, &created)
	return created.GetOrganization().GetId()
}
