package authz_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
)

// crowd is how many do the same at once.
const crowd = 8

// atOnce calls do for all at the same time, and returns the reasons of their errors, sorted; those that succeeded have
// none.
func atOnce(do func(i int) error) []string {
	reasons := make([]string, crowd)
	var everybody sync.WaitGroup
	for i := range crowd {
		everybody.Go(func() {
			if err := do(i); err != nil {
				reasons[i] = connect.CodeOf(err).String() + " " + rpcerror.Reason(err)
			}
		})
	}
	everybody.Wait()
	slices.Sort(reasons)
	return slices.DeleteFunc(reasons, func(reason string) bool { return reason == "" })
}

// allBut is the reasons of a crowd of which n succeed.
func allBut(n int, reason string) []string { return slices.Repeat([]string{reason}, crowd-n) }

func describe(name, description string, version int64) *authzv1.UpdateRoleRequest {
	return &authzv1.UpdateRoleRequest{
		Role:       &authzv1.Role{OrganizationId: acme, Name: name, Description: description, Version: version},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	}
}

func TestRolesHaveVersions(t *testing.T) { dbtest.EachURL(t, roleVersions) }

func roleVersions(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, nil)
	ensureEverywhere(t, w, root, admin)
	roots := authzv1connect.NewRoleServiceClient(w.As(root, "authz"))
	const changed = "aborted ROLE_CHANGED"

	created, err := roots.CreateRole(ctx, &authzv1.CreateRoleRequest{OrganizationId: acme, Name: "reader", Permissions: []string{"notes.note.read"}})
	require.NoError(t, err)
	require.EqualValues(t, 1, created.GetRole().GetVersion())

	// Of those who have seen the same version, one changes it.
	require.Equal(t, allBut(1, changed), atOnce(func(i int) error {
		_, err := roots.UpdateRole(ctx, describe("reader", fmt.Sprint(i), 1))
		return err
	}))
	// Who does not say what they have seen change it one after the other.
	require.Empty(t, atOnce(func(i int) error {
		_, err := roots.UpdateRole(ctx, describe("reader", fmt.Sprint(i), 0))
		return err
	}))
	found, err := roots.GetRole(ctx, &authzv1.GetRoleRequest{OrganizationId: acme, Name: "reader"})
	require.NoError(t, err)
	require.EqualValues(t, 2+crowd, found.GetRole().GetVersion())

	_, err = roots.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader", Version: 2})
	require.Equal(t, connect.CodeAborted, connect.CodeOf(err))
	require.Equal(t, "ROLE_CHANGED", rpcerror.Reason(err))
	// It is deleted once.
	require.Equal(t, allBut(1, "not_found ROLE_NOT_FOUND"), atOnce(func(int) error {
		_, err := roots.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader", Version: 2 + crowd})
		return err
	}))

	// What a module changes about its role counts, too.
	keeper := func() int64 {
		found, err := roots.GetRole(ctx, &authzv1.GetRoleRequest{Name: "notes.keeper"})
		require.NoError(t, err)
		return found.GetRole().GetVersion()
	}
	register(t, w, []string{"notes.note.read"}, map[string][]string{"notes.keeper": {"notes.note.read"}})
	require.EqualValues(t, 1, keeper())
	register(t, w, []string{"notes.note.read"}, map[string][]string{"notes.keeper": {"notes.*"}})
	require.EqualValues(t, 2, keeper())
}

func TestRolesAreCreatedOnceByTheirRequest(t *testing.T) { dbtest.EachURL(t, roleRequests) }

func roleRequests(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, nil)
	ensureEverywhere(t, w, root, admin)
	ensureEverywhere(t, w, ada, admin)
	roots, adas := authzv1connect.NewRoleServiceClient(w.As(root, "authz")), authzv1connect.NewRoleServiceClient(w.As(ada, "authz"))
	request := func(name, organization, id string) *authzv1.CreateRoleRequest {
		return &authzv1.CreateRoleRequest{OrganizationId: organization, Name: name, Permissions: []string{"notes.note.read"}, RequestId: id}
	}

	// All of those who send the same at once get the one role.
	require.Empty(t, atOnce(func(int) error {
		_, err := roots.CreateRole(ctx, request("reader", acme, "once"))
		return err
	}))
	_, err := roots.UpdateRole(ctx, describe("reader", "Reads", 1))
	require.NoError(t, err)
	again, err := roots.CreateRole(ctx, request("reader", acme, "once"))
	require.NoError(t, err)
	require.Equal(t, "Reads", again.GetRole().GetDescription(), "as it is now")
	again, err = roots.CreateRole(ctx, request("writer", acme, "once"))
	require.NoError(t, err)
	require.Equal(t, "reader", again.GetRole().GetName(), "the id counts, whatever else the request says")

	// Another request, of another caller, or of none, does not create it again, nor get it.
	for name, create := range map[string]func() error{
		"another id":     func() error { _, err := roots.CreateRole(ctx, request("reader", acme, "twice")); return err },
		"another caller": func() error { _, err := adas.CreateRole(ctx, request("reader", acme, "once")); return err },
		"no id":          func() error { _, err := roots.CreateRole(ctx, request("reader", acme, "")); return err },
	} {
		require.Equal(t, "ROLE_EXISTS", rpcerror.Reason(create()), name)
	}
	elsewhere, err := roots.CreateRole(ctx, request("reader", "org_other", "once"))
	require.NoError(t, err)
	require.Equal(t, "org_other", elsewhere.GetRole().GetOrganizationId(), "an id counts in its organization")

	// Events come in the order of what was done.
	created := map[string]bool{}
	w.AwaitEvent(func(event *auditv1.Event) bool {
		if event.GetAction() == "role.create" {
			created[event.GetId()] = true
		}
		return event.GetOrganizationId() == "org_other"
	})
	require.Len(t, created, 2, "each is on the record once")
}

// Two instances take the same grants: none fails, and each grant is on the record once.
func TestGrantsAreTakenOnce(t *testing.T) { dbtest.EachURL(t, takenOnce) }

func takenOnce(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, map[string][]string{"notes.keeper": {"notes.*"}})
	ensure(t, w, ada, "notes.keeper")
	service := authzv1connect.NewPolicyServiceClient(w.AsService("identity", "authz"))
	require.Empty(t, atOnce(func(int) error {
		_, err := service.RevokeGrants(ctx, &authzv1.RevokeGrantsRequest{UserId: ada, OrganizationId: acme})
		return err
	}))
	require.False(t, check(t, w, ada, "notes.note.read", acme))
	w.AwaitEvent(servicetest.Action("grant.delete"))
}
