package authz_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/permissions/authzperms"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/services/authz"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/role"
)

const (
	root = "usr_root"
	ada  = "usr_ada"
	bob  = "usr_bob"
	acme = "org_acme"

	admin = string(authzperms.RoleAdmin)
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
	require.False(t, check(t, w, bob, string(authzperms.GrantCreate), acme))
	_, err = adas.GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: bob, Role: admin, OrganizationId: acme})
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
	ensureEverywhere(t, w, root, admin)
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
		Role: &authzv1.Role{Name: admin, Description: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
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
	require.Equal(t, []string{admin, "notes.granter", "reader"}, names)

	long := strings.Repeat("ä", 500)
	described, err := roots.UpdateRole(ctx, &authzv1.UpdateRoleRequest{
		Role:       &authzv1.Role{OrganizationId: acme, Name: "reader", Description: long},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	})
	require.NoError(t, err, "bounds count characters")
	require.Equal(t, long, described.GetRole().GetDescription())

	_, err = roots.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader"})
	require.NoError(t, err)
	require.False(t, check(t, w, bob, "notes.note.write", acme), "grants go with the role")
	event := w.AwaitEvent(servicetest.Action("grant.delete"))
	require.Equal(t, bob, event.GetResource())
	require.Equal(t, acme, event.GetOrganizationId())
	require.Equal(t, "reader", event.GetAttributes()["role"])
}

func TestNobodyTakesWhatTheyDoNotHave(t *testing.T) { dbtest.EachURL(t, takes) }

func takes(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, map[string][]string{"notes.keeper": {"authz.role.*", "authz.grant.*"}})
	ensureEverywhere(t, w, root, admin)
	ensure(t, w, ada, "notes.keeper")
	rootGrants, rootRoles := authzv1connect.NewGrantServiceClient(w.As(root, "authz")), authzv1connect.NewRoleServiceClient(w.As(root, "authz"))
	adaGrants, adaRoles := authzv1connect.NewGrantServiceClient(w.As(ada, "authz")), authzv1connect.NewRoleServiceClient(w.As(ada, "authz"))
	_, err := rootRoles.CreateRole(ctx, &authzv1.CreateRoleRequest{OrganizationId: acme, Name: "reader", Permissions: []string{"notes.note.read"}})
	require.NoError(t, err)
	for _, role := range []string{"reader", "notes.keeper"} {
		_, err = rootGrants.GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: bob, Role: role, OrganizationId: acme})
		require.NoError(t, err)
	}

	const exceeds = "ROLE_EXCEEDS_CALLER"
	_, err = adaGrants.RevokeRole(ctx, &authzv1.RevokeRoleRequest{UserId: bob, Role: "reader", OrganizationId: acme})
	require.Equal(t, exceeds, rpcerror.Reason(err))
	for _, change := range []*authzv1.Role{{Description: "x"}, {Permissions: []string{string(authzperms.RoleRead)}}} {
		change.OrganizationId, change.Name = acme, "reader"
		mask := "description"
		if change.GetPermissions() != nil {
			mask = "permissions"
		}
		_, err = adaRoles.UpdateRole(ctx, &authzv1.UpdateRoleRequest{Role: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{mask}}})
		require.Equal(t, exceeds, rpcerror.Reason(err), mask)
	}
	_, err = adaRoles.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader"})
	require.Equal(t, exceeds, rpcerror.Reason(err))

	// All or nothing, on behalf of a person; a service by itself may take all.
	policy := authzv1connect.NewPolicyServiceClient(w.AsServiceFor(ada, "identity", "authz"))
	_, err = policy.RevokeGrants(ctx, &authzv1.RevokeGrantsRequest{UserId: bob, OrganizationId: acme})
	require.Equal(t, exceeds, rpcerror.Reason(err))
	require.True(t, check(t, w, bob, "notes.note.read", acme))
	require.True(t, check(t, w, bob, string(authzperms.RoleRead), acme), "what Ada could have taken stays, too")
	bobs := authzv1connect.NewPolicyServiceClient(w.AsServiceFor(bob, "identity", "authz"))
	_, err = bobs.RevokeGrants(ctx, &authzv1.RevokeGrantsRequest{UserId: bob, OrganizationId: acme})
	require.NoError(t, err, "everybody holds what they hold")
	require.False(t, check(t, w, bob, "notes.note.read", acme))

	// Whoever is the last to hold a role that is to be kept keeps all.
	service := authzv1connect.NewPolicyServiceClient(w.AsService("identity", "authz"))
	last := &authzv1.RevokeGrantsRequest{UserId: ada, OrganizationId: acme, KeptRole: "notes.keeper"}
	_, err = service.RevokeGrants(ctx, last)
	require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))
	require.Equal(t, "LAST_OWNER", rpcerror.Reason(err))
	ensureIn(t, w, bob, "notes.keeper", "org_other")
	_, err = service.RevokeGrants(ctx, last)
	require.Equal(t, "LAST_OWNER", rpcerror.Reason(err), "a holder elsewhere does not count")
	ensure(t, w, bob, "notes.keeper")

	// Two who remove each other at once: one stays.
	results := make(chan string, 2)
	for _, person := range []string{ada, bob} {
		go func() {
			_, err := service.RevokeGrants(ctx, &authzv1.RevokeGrantsRequest{UserId: person, OrganizationId: acme, KeptRole: "notes.keeper"})
			results <- rpcerror.Reason(err)
		}()
	}
	require.ElementsMatch(t, []string{"", "LAST_OWNER"}, []string{<-results, <-results})
}

func TestARoleThatTooManyHoldIsNotDeleted(t *testing.T) { dbtest.EachURL(t, manyHolders) }

func manyHolders(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, nil)
	ensureEverywhere(t, w, root, admin)
	roles, grants := authzv1connect.NewRoleServiceClient(w.As(root, "authz")), authzv1connect.NewGrantServiceClient(w.As(root, "authz"))
	_, err := roles.CreateRole(ctx, &authzv1.CreateRoleRequest{OrganizationId: acme, Name: "reader", Permissions: []string{"notes.note.read"}})
	require.NoError(t, err)
	person := func(i int) string { return fmt.Sprintf("usr_%d", i) }
	// Straight into the database: a thousand and one calls take a minute.
	client := ent.NewClient(ent.Driver(dbtest.Open(t, database).Driver()))
	reader, err := client.Role.Query().Where(role.Name("reader")).Only(ctx)
	require.NoError(t, err)
	require.NoError(t, client.Grant.MapCreateBulk(make([]int, 1001), func(c *ent.GrantCreate, i int) {
		c.SetID(fmt.Sprintf("grt_%d", i)).SetUserID(person(i)).SetRoleID(reader.ID).SetOrganizationID(acme)
	}).Exec(ctx))
	_, err = roles.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader"})
	require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))
	require.Equal(t, "ROLE_IN_USE", rpcerror.Reason(err))
	_, err = grants.RevokeRole(ctx, &authzv1.RevokeRoleRequest{UserId: person(0), Role: "reader", OrganizationId: acme})
	require.NoError(t, err)
	_, err = roles.DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: acme, Name: "reader"})
	require.NoError(t, err)
	require.False(t, check(t, w, person(1), "notes.note.read", acme))
}

// Several instances of a module start at once.
func TestInstancesOfAModuleRegisterAtOnce(t *testing.T) { dbtest.EachURL(t, registerAtOnce) }

func registerAtOnce(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	req := &authzv1.RegisterModuleRequest{Module: "notes"}
	for i := range 20 {
		name := fmt.Sprintf("notes.note.act%d", i)
		req.Permissions = append(req.Permissions, &kernelv1.Permission{Id: name})
		req.Roles = append(req.Roles, &kernelv1.Role{Name: fmt.Sprintf("notes.role%d", i), Permissions: []string{name}})
	}
	policy := authzv1connect.NewPolicyServiceClient(w.AsService("notes", "authz"))
	errs := make([]error, 10)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { _, errs[i] = policy.RegisterModule(ctx, req) })
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	ensure(t, w, bob, "notes.role19")
	require.True(t, check(t, w, bob, "notes.note.act19", acme))
}

func TestServicesGiveTheirOwnRoles(t *testing.T) { dbtest.EachURL(t, ownRoles) }

func ownRoles(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	register(t, w, []string{"notes.note.read"}, map[string][]string{"notes.editor": {"notes.*"}})
	for name, test := range map[string]struct{ service, role, organization, reason string }{
		"its own":                             {"notes", "notes.editor", acme, ""},
		"its own, everywhere":                 {"notes", "notes.editor", "", ""},
		"another's":                           {"identity", "notes.editor", acme, "FOREIGN_MODULE"},
		"the administrator's":                 {"notes", admin, "", "FOREIGN_MODULE"},
		"the administrator's, by auth":        {"auth", admin, "", ""},
		"the administrator's of one, by auth": {"auth", admin, acme, "FOREIGN_MODULE"},
		"another's, by auth":                  {"auth", "notes.editor", "", "FOREIGN_MODULE"},
		"one that does not exist":             {"notes", "notes.none", "", "ROLE_NOT_FOUND"},
	} {
		_, err := authzv1connect.NewPolicyServiceClient(w.AsService(test.service, "authz")).
			EnsureGrant(ctx, &authzv1.EnsureGrantRequest{UserId: ada, Role: test.role, OrganizationId: test.organization})
		require.Equal(t, test.reason, rpcerror.Reason(err), "%s: %v", name, err)
		require.Equal(t, test.reason == "", err == nil, name)
	}
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
		"permission":     {Module: "notes", Permissions: []*kernelv1.Permission{{Id: string(authzperms.RoleCreate)}}},
		"role":           {Module: "notes", Roles: []*kernelv1.Role{{Name: admin}}},
	} {
		_, err = policy.RegisterModule(ctx, req)
		require.Equal(t, "FOREIGN_MODULE", rpcerror.Reason(err), name)
	}
	_, err = authzv1connect.NewPolicyServiceClient(w.As(bob, "authz")).RegisterModule(ctx, &authzv1.RegisterModuleRequest{Module: "notes"})
	require.Equal(t, rpcerror.ReasonServicesOnly, rpcerror.Reason(err))
}

// During an upgrade instances of two versions run, and the older ones may start last.
func TestAnOlderVersionTakesNothingBack(t *testing.T) { dbtest.EachURL(t, versions) }

func versions(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	policy := authzv1connect.NewPolicyServiceClient(w.AsService("notes", "authz"))
	// Each version brings permissions, and one role of its own that has the same name in all.
	registers := func(version, description string, actions ...string) {
		t.Helper()
		req := &authzv1.RegisterModuleRequest{Module: "notes", Version: version, Roles: []*kernelv1.Role{{Name: "notes.editor", Description: description}}}
		for _, action := range actions {
			id := "notes.note." + action
			req.Permissions = append(req.Permissions, &kernelv1.Permission{Id: id, Description: description})
			req.Roles[0].Permissions = append(req.Roles[0].Permissions, id)
		}
		_, err := policy.RegisterModule(ctx, req)
		require.NoError(t, err)
	}
	// known returns the permissions of the module and who described them; those that are marked as removed in brackets.
	known := func() map[string]string {
		all, err := authzv1connect.NewPermissionServiceClient(w.As(bob, "authz")).ListPermissions(ctx, &authzv1.ListPermissionsRequest{PageSize: 200})
		require.NoError(t, err)
		known := map[string]string{}
		for _, p := range all.GetPermissions() {
			if action, ok := strings.CutPrefix(p.GetId(), "notes.note."); ok {
				known[action] = p.GetDescription()
				if p.GetRemoved() {
					known[action] = "(" + p.GetDescription() + ")"
				}
			}
		}
		return known
	}
	registers("1.9.0", "nine", "read", "list")
	require.Equal(t, map[string]string{"read": "nine", "list": "nine"}, known())
	ensure(t, w, bob, "notes.editor")

	registers("1.10.0", "ten", "read", "search")
	upgraded := map[string]string{"read": "ten", "list": "(nine)", "search": "ten"}
	require.Equal(t, upgraded, known())
	require.True(t, check(t, w, bob, "notes.note.search", acme), "the role is the new version's")

	for _, version := range []string{"1.9.0", "1.10.0-rc.1", "0.1.0", ""} {
		registers(version, "late", "read", "list")
		require.Equal(t, upgraded, known(), "%q", version)
	}
	require.True(t, check(t, w, bob, "notes.note.search", acme))
	require.False(t, check(t, w, bob, "notes.note.list", acme))
	registers("1.9.1", "late", "read", "print")
	upgraded["print"] = "(late)"
	require.Equal(t, upgraded, known(), "what only an older version brings is known, and no new role can have it")
	_, err := policy.RegisterModule(ctx, &authzv1.RegisterModuleRequest{Module: "notes", Version: "1.9.0", Roles: []*kernelv1.Role{{Name: "notes.printer"}}})
	require.NoError(t, err)
	_, err = policy.EnsureGrant(ctx, &authzv1.EnsureGrantRequest{UserId: bob, Role: "notes.printer", OrganizationId: acme})
	require.Equal(t, "ROLE_REMOVED", rpcerror.Reason(err))
	ensure(t, w, ada, "notes.editor")

	// What was removed comes back unmarked, with the same version or a newer one.
	registers("1.10.0", "ten", "read", "list")
	require.Equal(t, map[string]string{"read": "ten", "list": "ten", "search": "(ten)", "print": "(late)"}, known())
	registers("2.0.0", "two", "print")
	require.Equal(t, map[string]string{"read": "(ten)", "list": "(ten)", "search": "(ten)", "print": "two"}, known())

	event := w.AwaitEvent(func(e *auditv1.Event) bool {
		return e.GetAction() == "module.register" && e.GetAttributes()["version"] == "2.0.0"
	})
	require.Equal(t, "notes", event.GetResource())
	require.NotContains(t, event.GetAttributes(), "same_version")

	// Another build of the same version takes the place of the first, and that is seen.
	event = w.AwaitEvent(func(e *auditv1.Event) bool {
		return e.GetAction() == "module.register" && e.GetAttributes()["same_version"] == "true"
	})
	require.Equal(t, "1.10.0", event.GetAttributes()["version"])

	_, err = policy.RegisterModule(ctx, &authzv1.RegisterModuleRequest{Module: "notes", Version: "new"})
	require.Equal(t, "INVALID_VERSION", rpcerror.Reason(err))
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
}

// Instances of two versions may register at the very same time.
func TestVersionsRegisterAtOnce(t *testing.T) { dbtest.EachURL(t, versionsAtOnce) }

func versionsAtOnce(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	policy := authzv1connect.NewPolicyServiceClient(w.AsService("notes", "authz"))
	errs := make([]error, 10)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			_, errs[i] = policy.RegisterModule(ctx, &authzv1.RegisterModuleRequest{
				Module: "notes", Version: fmt.Sprintf("1.%d.0", i), Permissions: []*kernelv1.Permission{{Id: fmt.Sprintf("notes.note.act%d", i), Description: "x"}},
			})
		})
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	all, err := authzv1connect.NewPermissionServiceClient(w.As(bob, "authz")).ListPermissions(ctx, &authzv1.ListPermissionsRequest{PageSize: 200})
	require.NoError(t, err)
	var left []string
	for _, p := range all.GetPermissions() {
		if strings.HasPrefix(p.GetId(), "notes.") && !p.GetRemoved() {
			left = append(left, p.GetId())
		}
	}
	require.Equal(t, []string{"notes.note.act9"}, left)
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
	// The module whose role it is, but for the administrator's.
	module, _, _ := strings.Cut(role, ".")
	if role == admin {
		module = "auth"
	}
	_, err := authzv1connect.NewPolicyServiceClient(w.AsService(module, "authz")).EnsureGrant(context.Background(),
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
