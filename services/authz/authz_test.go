package authz_test

import (
	"context"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/ent/database/dbtest"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/services/authz"
)

const (
	root = "usr_root"
	ada  = "usr_ada"
	bob  = "usr_bob"
	acme = "org_acme"
)

func TestGrantsDecideAndNobodyGivesWhatTheyDoNotHave(t *testing.T) { dbtest.EachURL(t, grants) }

func grants(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read", "notes.note.write"}, map[string][]string{"notes.editor": {"notes.note.*"}})
	adas := authzv1connect.NewGrantServiceClient(w.As(ada, "authz"))

	editor := &authzv1.GrantRoleRequest{UserId: bob, Role: "notes.editor", OrganizationId: acme}
	_, err := adas.GrantRole(ctx, editor)
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err))

	// Ada may grant in Acme, and holds notes there to give.
	ensure(t, w, ada, "notes.granter")
	_, err = adas.GrantRole(ctx, editor)
	require.Equal(t, "ROLE_EXCEEDS_CALLER", rpcerror.Reason(err), "granting is not holding")
	ensure(t, w, ada, "notes.editor")
	require.False(t, check(t, w, bob, "notes.note.write", acme))
	first, err := adas.GrantRole(ctx, editor)
	require.NoError(t, err)
	again, err := adas.GrantRole(ctx, editor)
	require.NoError(t, err)
	require.Equal(t, first.GetGrant().GetId(), again.GetGrant().GetId())

	require.True(t, check(t, w, bob, "notes.note.write", acme))
	require.False(t, check(t, w, bob, "notes.note.write", "org_other"), "a grant counts where it was made")
	require.False(t, check(t, w, bob, "notes.note.write", ""))
	require.False(t, check(t, w, bob, "authz.grant.create", acme))
	_, err = adas.GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: bob, Role: "authz.admin", OrganizationId: acme})
	require.Equal(t, "ROLE_EXCEEDS_CALLER", rpcerror.Reason(err))
	_, err = adas.GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: bob, Role: "no.such", OrganizationId: acme})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))

	list, err := adas.ListGrants(ctx, &authzv1.ListGrantsRequest{OrganizationId: acme, UserId: bob})
	require.NoError(t, err)
	require.Len(t, list.GetGrants(), 1)
	require.Equal(t, "notes.editor", list.GetGrants()[0].GetRole())

	_, err = adas.RevokeRole(ctx, &authzv1.RevokeRoleRequest{UserId: bob, Role: "notes.editor", OrganizationId: acme})
	require.NoError(t, err)
	require.False(t, check(t, w, bob, "notes.note.write", acme), "seen by the very next decision")

	event := w.AwaitEvent(servicetest.Action("grant.delete"))
	require.Equal(t, ada, event.GetActor().GetId())
	require.Equal(t, bob, event.GetResource())
	require.Equal(t, acme, event.GetOrganizationId())
}

func TestRolesThatPeopleMake(t *testing.T) { dbtest.EachURL(t, roles) }

func roles(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read", "notes.note.write"}, nil)
	ensureEverywhere(t, w, root, "authz.admin")
	roots := authzv1connect.NewRoleServiceClient(w.As(root, "authz"))

	reader := &authzv1.CreateRoleRequest{OrganizationId: acme, Name: "reader", Permissions: []string{"notes.note.read"}}
	_, err := roots.CreateRole(ctx, reader)
	require.NoError(t, err)
	_, err = roots.CreateRole(ctx, reader)
	require.Equal(t, "ROLE_EXISTS", rpcerror.Reason(err))
	for _, permission := range []string{"notes.note.shred", "NOTES", "notes.*.read"} {
		_, err = roots.CreateRole(ctx, &authzv1.CreateRoleRequest{OrganizationId: acme, Name: "odd", Permissions: []string{permission}})
		require.Equal(t, "UNKNOWN_PERMISSION", rpcerror.Reason(err), permission)
	}
	_, err = authzv1connect.NewGrantServiceClient(w.As(root, "authz")).
		GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: bob, Role: "reader", OrganizationId: acme})
	require.NoError(t, err)
	require.True(t, check(t, w, bob, "notes.note.read", acme))
	_, err = authzv1connect.NewGrantServiceClient(w.As(root, "authz")).
		GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: bob, Role: "reader", OrganizationId: "org_other"})
	require.Equal(t, "ROLE_NOT_FOUND", rpcerror.Reason(err), "a role belongs to its organization")

	_, err = roots.UpdateRole(ctx, &authzv1.UpdateRoleRequest{
		Role:       &authzv1.Role{OrganizationId: acme, Name: "reader", Permissions: []string{"notes.note.write"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}},
	})
	require.NoError(t, err)
	require.False(t, check(t, w, bob, "notes.note.read", acme))
	require.True(t, check(t, w, bob, "notes.note.write", acme))
	_, err = roots.UpdateRole(ctx, &authzv1.UpdateRoleRequest{
		Role: &authzv1.Role{Name: "authz.admin", Description: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	})
	require.Equal(t, "ROLE_OF_MODULE", rpcerror.Reason(err))

	var names []string
	for token, more := "", true; more; more = token != "" {
		page, err := roots.ListRoles(ctx, &authzv1.ListRolesRequest{OrganizationId: acme, PageSize: 1, PageToken: token})
		require.NoError(t, err)
		for _, r := range page.GetRoles() {
			names = append(names, r.GetName())
		}
		token = page.GetNextPageToken()
	}
	require.Equal(t, []string{"authz.admin", "notes.granter", "reader"}, names)

	_, err = roots.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader"})
	require.NoError(t, err)
	require.False(t, check(t, w, bob, "notes.note.write", acme), "grants go with the role")
}

func TestModulesKeepToTheirNamesAndMarkWhatTheyRemove(t *testing.T) { dbtest.EachURL(t, modules) }

func modules(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, map[string][]string{"notes.editor": {"notes.*"}})
	ensure(t, w, bob, "notes.editor")
	register(t, w, []string{"notes.note.list"}, nil)

	all, err := authzv1connect.NewPermissionServiceClient(w.As(bob, "authz")).ListPermissions(ctx, &authzv1.ListPermissionsRequest{PageSize: 200})
	require.NoError(t, err)
	removed := map[string]bool{}
	for _, p := range all.GetPermissions() {
		removed[p.GetId()] = p.GetRemoved()
	}
	require.True(t, removed["notes.note.read"])
	require.False(t, removed["notes.note.list"])
	require.True(t, check(t, w, bob, "notes.note.list", acme), "who holds a removed role still does")
	policy := authzv1connect.NewPolicyServiceClient(w.AsService("notes", "authz"))
	_, err = policy.EnsureGrant(ctx, &authzv1.EnsureGrantRequest{UserId: ada, Role: "notes.editor", OrganizationId: acme})
	require.Equal(t, "ROLE_REMOVED", rpcerror.Reason(err))

	for name, req := range map[string]*authzv1.RegisterModuleRequest{
		"another module": {Module: "authz"},
		"permission":     {Module: "notes", Permissions: []*kernelv1.Permission{{Id: "authz.role.create"}}},
		"role":           {Module: "notes", Roles: []*kernelv1.Role{{Name: "authz.admin"}}},
	} {
		_, err = policy.RegisterModule(ctx, req)
		require.Equal(t, "FOREIGN_MODULE", rpcerror.Reason(err), name)
	}
	_, err = authzv1connect.NewPolicyServiceClient(w.As(bob, "authz")).RegisterModule(ctx, &authzv1.RegisterModuleRequest{Module: "notes"})
	require.Equal(t, rpcerror.ReasonServicesOnly, rpcerror.Reason(err))
}

func start(t *testing.T, database config.Secret) *servicetest.World {
	t.Helper()
	w := servicetest.New(t)
	w.Start(authz.Module(), database)
	return w
}

// register registers the module notes, which always brings a role that may grant.
func register(t *testing.T, w *servicetest.World, permissions []string, roles map[string][]string) {
	t.Helper()
	req := &authzv1.RegisterModuleRequest{Module: "notes", Roles: []*kernelv1.Role{{Name: "notes.granter", Permissions: []string{"authz.grant.*"}}}}
	for _, p := range permissions {
		req.Permissions = append(req.Permissions, &kernelv1.Permission{Id: p, Description: p})
	}
	for name, patterns := range roles {
		req.Roles = append(req.Roles, &kernelv1.Role{Name: name, Permissions: patterns})
	}
	for range 2 {
		_, err := authzv1connect.NewPolicyServiceClient(w.AsService("notes", "authz")).RegisterModule(context.Background(), req)
		require.NoError(t, err)
	}
}

func ensure(t *testing.T, w *servicetest.World, userID, role string) {
	ensureIn(t, w, userID, role, acme)
}

func ensureEverywhere(t *testing.T, w *servicetest.World, userID, role string) {
	ensureIn(t, w, userID, role, "")
}

func ensureIn(t *testing.T, w *servicetest.World, userID, role, organization string) {
	t.Helper()
	_, err := authzv1connect.NewPolicyServiceClient(w.AsService("identity", "authz")).EnsureGrant(context.Background(),
		&authzv1.EnsureGrantRequest{UserId: userID, Role: role, OrganizationId: organization})
	require.NoError(t, err)
}

func check(t *testing.T, w *servicetest.World, userID, permission, organization string) bool {
	t.Helper()
	res, err := authzv1connect.NewCheckServiceClient(w.As(userID, "authz")).
		Check(context.Background(), &authzv1.CheckRequest{Permission: permission, OrganizationId: organization})
	require.NoError(t, err)
	return res.GetAllowed()
}
