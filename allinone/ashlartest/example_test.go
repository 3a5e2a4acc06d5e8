package ashlartest_test

import (
	"testing"

	"ashlar.dev/allinone/ashlartest"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
)

// testYourService is a team's test of its own service: the module, an organization, somebody with a role in it, a call
// through the gateway, and what is on the record then.
func testYourService(t *testing.T) {
	t.Parallel()
	p := ashlartest.Start(t, pads{}) // notes.Module(), or whatever is under test
	org := p.Organization(t, "Acme")
	ada := p.SignIn(t, ashlartest.Role("identity.manager", org))

	organizations := identityv1connect.NewOrganizationServiceClient(ada.Client())
	res, err := organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{OrganizationId: org})
	if err != nil {
		t.Fatal(err)
	}
	if name := res.GetOrganization().GetDisplayName(); name != "Acme" {
		t.Errorf("it is called %s", name)
	}
	p.AwaitEvent(t, ashlartest.Action("organization.create"))
}

func Example() {
	_ = testYourService // in a team's own files its name is TestYourService
	// Output:
}
