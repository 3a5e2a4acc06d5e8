package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

const (
	grantRole = "ashlar.authz.v1.GrantService/GrantRole"
	devReady  = "Ctrl-C stops it."
)

// startDev starts the platform in one process, and waits until it is ready.
func startDev(t testing.TB, home, gateway string) *program {
	t.Helper()
	p := startProgram(t, environ("ASHLAR_HOME="+home, "ASHLAR_GATEWAY_ADDR="+gateway), built(t, "ashlar-dev"))
	require.NoError(t, p.says(devReady, startWithin))
	return p
}

// One process does what the walk of the README does; what was stored is there again for the next one, and for `up`.
func TestDev(t *testing.T) {
	s := newSettings(t)
	url := "http://" + s.gateway
	p := startDev(t, s.home, s.gateway)
	admin := signIn(t, url, adminEmail, passwordIn(t, s.home))
	org := newOrganization(t, url, admin)
	bob := newcomer(t, url)
	rename := request{procedure: updateOrganization, message: &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: org, DisplayName: "Apex"},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	}}
	everySpeech(t, func(t *testing.T, s speech) {
		a := s.send(t, call{url: url, procedure: rename.procedure, token: bob.token, message: rename.message})
		assert.Equal(t, "permission_denied", a.code, a)
		assert.Equal(t, "identity.organization.update", a.info().GetMetadata()["permission"], a)
	})
	invoke(t, url, admin.token, grantRole, &authzv1.GrantRoleRequest{UserId: bob.id, Role: "identity.manager", OrganizationId: org}, &authzv1.GrantRoleResponse{})
	invoke(t, url, bob.token, rename.procedure, rename.message, &identityv1.UpdateOrganizationResponse{})
	here := &platform{settings: s}
	require.NoError(t, eventually(auditWithin, func() error { return recorded(t, here, admin, org, "organization.update", 1) }))
	var denied auditv1.QueryEventsResponse
	invoke(t, url, admin.token, queryEvents, &auditv1.QueryEventsRequest{OrganizationId: org, Outcome: auditv1.Outcome_OUTCOME_DENIED}, &denied)
	assert.Len(t, denied.GetEvents(), len(speeches))

	p.signal(t, os.Interrupt)
	require.Zero(t, p.wait(t, stopWithin), p.stderr)

	// In the other way of running, with the same files.
	several := up(t, s)
	bob = signIn(t, url, bob.email, password)
	var mine identityv1.UpdateOrganizationResponse
	invoke(t, url, bob.token, rename.procedure, rename.message, &mine)
	assert.Equal(t, "Apex", mine.GetOrganization().GetDisplayName())
	several.stop(t)
}

// Two processes must not share one home folder.
func TestDevTakesItsHome(t *testing.T) {
	s := newSettings(t)
	startDev(t, s.home, s.gateway)
	other, err := freeAddress()
	require.NoError(t, err)
	second, code := run(t, failWithin, environ("ASHLAR_HOME="+s.home, "ASHLAR_GATEWAY_ADDR="+other), built(t, "ashlar-dev"))
	assert.NotZero(t, code)
	assert.Contains(t, second.stderr.String(), filepath.Base(s.home))
}
