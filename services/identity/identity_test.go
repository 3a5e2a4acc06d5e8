package identity_test

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/gen/go/permissions/identityperms"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
	"ashlar.dev/services/identity"
)

func TestOrganizationFromCreationToRemovalOfAMember(t *testing.T) { dbtest.EachURL(t, organizations) }

func organizations(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	ada := identityv1connect.NewOrganizationServiceClient(w.As("usr_ada", "identity"))

	// Creating again with the same request id gives the same organization.
	req := &identityv1.CreateOrganizationRequest{DisplayName: "Acme", RequestId: "once"}
	created, err := ada.CreateOrganization(ctx, req)
	require.NoError(t, err)
	again, err := ada.CreateOrganization(ctx, req)
	require.NoError(t, err)
	acme := created.GetOrganization().GetId()
	require.Equal(t, acme, again.GetOrganization().GetId())
	require.True(t, w.Holds("usr_ada", string(identityperms.RoleOwner), acme))

	// Another person is refused, by name of the permission, and the refusal is on the record.
	rename := &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: acme, DisplayName: "Apex"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	}
	bob := identityv1connect.NewOrganizationServiceClient(w.As("usr_bob", "identity"))
	_, err = bob.UpdateOrganization(ctx, rename)
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.Equal(t, rpcerror.ReasonPermissionDenied, rpcerror.Reason(err))
	require.EqualValues(t, identityperms.OrganizationUpdate, rpcerror.Info(err).GetMetadata()["permission"])
	denied := w.AwaitEvent(servicetest.Action("access.deny"))
	require.Equal(t, "usr_bob", denied.GetActor().GetId())
	require.Equal(t, auditv1.Outcome_OUTCOME_DENIED, denied.GetOutcome())
	require.Equal(t, acme, denied.GetOrganizationId())

	w.Allow("usr_bob", string(identityperms.OrganizationUpdate), acme)
	renamed, err := bob.UpdateOrganization(ctx, rename)
	require.NoError(t, err)
	require.Equal(t, "Apex", renamed.GetOrganization().GetDisplayName())
	require.Equal(t, "usr_bob", w.AwaitEvent(servicetest.Action("organization.update")).GetActor().GetId())

	// Members.
	for _, permission := range []identityperms.Permission{identityperms.MemberAdd, identityperms.MemberRemove, identityperms.MemberRead} {
		w.Allow("usr_ada", string(permission), acme)
	}
	accounts := identityv1connect.NewAccountServiceClient(w.AsService("auth", "identity"))
	_, err = accounts.RegisterAccount(ctx, &identityv1.RegisterAccountRequest{UserId: "usr_bob", Email: "bob@example.com", DisplayName: "Bob"})
	require.NoError(t, err)
	for range 2 {
		_, err = ada.AddMember(ctx, &identityv1.AddMemberRequest{OrganizationId: acme, UserId: "usr_bob"})
		require.NoError(t, err)
	}
	members, err := ada.ListMembers(ctx, &identityv1.ListMembersRequest{OrganizationId: acme, PageSize: 1})
	require.NoError(t, err)
	require.Equal(t, "usr_ada", members.GetMembers()[0].GetUserId())
	members, err = ada.ListMembers(ctx, &identityv1.ListMembersRequest{OrganizationId: acme, PageSize: 1, PageToken: members.GetNextPageToken()})
	require.NoError(t, err)
	require.Equal(t, "usr_bob", members.GetMembers()[0].GetUserId())
	require.Empty(t, members.GetNextPageToken())
	list, err := bob.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetOrganizations(), 1)

	_, err = ada.AddMember(ctx, &identityv1.AddMemberRequest{OrganizationId: acme, UserId: "usr_nobody"})
	require.Equal(t, "USER_NOT_FOUND", rpcerror.Reason(err))
	remove := &identityv1.RemoveMemberRequest{OrganizationId: acme, UserId: "usr_bob"}
	// What authz says of the caller is the answer, and the member stays.
	for reason, code := range map[string]connect.Code{"ROLE_EXCEEDS_CALLER": connect.CodePermissionDenied, "LAST_OWNER": connect.CodeFailedPrecondition} {
		w.RefuseRevocation(rpcerror.New(code, reason, "no"))
		_, err = ada.RemoveMember(ctx, remove)
		require.Equal(t, code, connect.CodeOf(err))
		require.Equal(t, reason, rpcerror.Reason(err))
	}
	w.RefuseRevocation(rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonServicesOnly, "no"))
	_, err = ada.RemoveMember(ctx, remove)
	require.Equal(t, rpcerror.ReasonInternal, rpcerror.Reason(err), "what authz says of identity is not the caller's")
	w.RefuseRevocation(nil)

	// Nothing is taken where nobody can be removed.
	for _, p := range []string{"deactivate", "read"} {
		w.Allow("usr_ada", "identity.organization."+p, acme)
	}
	_, err = ada.DeactivateOrganization(ctx, &identityv1.DeactivateOrganizationRequest{OrganizationId: acme})
	require.NoError(t, err)
	_, err = ada.RemoveMember(ctx, remove)
	require.Equal(t, "ORGANIZATION_DEACTIVATED", rpcerror.Reason(err))
	_, err = ada.ReactivateOrganization(ctx, &identityv1.ReactivateOrganizationRequest{OrganizationId: acme})
	require.NoError(t, err)
	_, err = bob.UpdateOrganization(ctx, rename)
	require.NoError(t, err, "Bob's roles are still there")
	members, err = ada.ListMembers(ctx, &identityv1.ListMembersRequest{OrganizationId: acme})
	require.NoError(t, err)
	require.Len(t, members.GetMembers(), 2)

	w.Allow("usr_ada", string(identityperms.MemberRemove), "org_none")
	w.Allow("usr_bob", "role:any", "org_none")
	_, err = ada.RemoveMember(ctx, &identityv1.RemoveMemberRequest{OrganizationId: "org_none", UserId: "usr_bob"})
	require.Equal(t, "ORGANIZATION_NOT_FOUND", rpcerror.Reason(err))
	require.True(t, w.Holds("usr_bob", "any", "org_none"))

	_, err = ada.RemoveMember(ctx, remove)
	require.NoError(t, err)
	_, err = bob.UpdateOrganization(ctx, rename)
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "roles go with the membership")
}

func TestAccountIsRegisteredOnce(t *testing.T) { dbtest.EachURL(t, accounts) }

func accounts(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	accounts := identityv1connect.NewAccountServiceClient(w.AsService("auth", "identity"))
	req := &identityv1.RegisterAccountRequest{UserId: "usr_eve", Email: "Eve@Example.com", DisplayName: "Eve"}
	for range 2 {
		res, err := accounts.RegisterAccount(ctx, req)
		require.NoError(t, err)
		require.Equal(t, "eve@example.com", res.GetUser().GetEmail())
	}
	_, err := accounts.RegisterAccount(ctx, &identityv1.RegisterAccountRequest{UserId: "usr_other", Email: "eve@example.com", DisplayName: "Other"})
	require.Equal(t, connect.CodeAlreadyExists, connect.CodeOf(err))
	require.Equal(t, "EMAIL_TAKEN", rpcerror.Reason(err))

	_, err = identityv1connect.NewAccountServiceClient(w.As("usr_eve", "identity")).RegisterAccount(ctx, req)
	require.Equal(t, rpcerror.ReasonServicesOnly, rpcerror.Reason(err), "people cannot call what is internal")
	_, err = identityv1connect.NewAccountServiceClient(w.AsService("auth", "authz")).LookupAccount(ctx, &identityv1.LookupAccountRequest{})
	require.Error(t, err)
}

func TestUserLifeAndUpdates(t *testing.T) { dbtest.EachURL(t, users) }

func users(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, p := range []string{"create", "read", "update", "deactivate"} {
		w.Allow("usr_root", "identity.user."+p, "")
	}
	users := identityv1connect.NewUserServiceClient(w.As("usr_root", "identity"))
	created, err := users.CreateUser(ctx, &identityv1.CreateUserRequest{Email: "zoe@example.com", DisplayName: "Zoe", RequestId: "r1"})
	require.NoError(t, err)
	again, err := users.CreateUser(ctx, &identityv1.CreateUserRequest{Email: "zoe@example.com", DisplayName: "Zoe", RequestId: "r1"})
	require.NoError(t, err)
	zoe := created.GetUser().GetId()
	require.Equal(t, zoe, again.GetUser().GetId())
	_, err = users.CreateUser(ctx, &identityv1.CreateUserRequest{Email: "zoe@example.com", DisplayName: "Zoe"})
	require.Equal(t, "EMAIL_TAKEN", rpcerror.Reason(err))

	off, err := users.DeactivateUser(ctx, &identityv1.DeactivateUserRequest{UserId: zoe})
	require.NoError(t, err)
	require.Equal(t, identityv1.UserState_USER_STATE_DEACTIVATED, off.GetUser().GetState())
	on, err := users.ReactivateUser(ctx, &identityv1.ReactivateUserRequest{UserId: zoe})
	require.NoError(t, err)
	require.Equal(t, identityv1.UserState_USER_STATE_ACTIVE, on.GetUser().GetState())

	for _, mask := range [][]string{{"email"}, {}} {
		_, err = users.UpdateUser(ctx, &identityv1.UpdateUserRequest{
			User: &identityv1.User{Id: zoe, DisplayName: "Z"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
		})
		require.Equal(t, rpcerror.ReasonUnsupportedUpdateMask, rpcerror.Reason(err))
	}
	_, err = users.ListUsers(ctx, &identityv1.ListUsersRequest{PageToken: "garbage"})
	require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err))
	_, err = users.GetUser(ctx, &identityv1.GetUserRequest{UserId: "usr_none"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = users.GetUser(ctx, &identityv1.GetUserRequest{})
	require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err))
}

func TestTexts(t *testing.T) { dbtest.EachURL(t, texts) }

func texts(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	ada := identityv1connect.NewOrganizationServiceClient(w.As("usr_ada", "identity"))
	// Bounds count characters.
	long := strings.Repeat("ä", 200)
	created, err := ada.CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{DisplayName: long, RequestId: strings.Repeat("~", 64)})
	require.NoError(t, err)
	require.Equal(t, long, created.GetOrganization().GetDisplayName())
	accounts := identityv1connect.NewAccountServiceClient(w.AsService("auth", "identity"))
	_, err = accounts.RegisterAccount(ctx, &identityv1.RegisterAccountRequest{UserId: "usr_eve", Email: "eve@example.com", DisplayName: long})
	require.NoError(t, err)

	for name, req := range map[string]*identityv1.CreateOrganizationRequest{
		"too long":                    {DisplayName: long + "ä"},
		"a NUL":                       {DisplayName: "a\x00b"},
		"a line":                      {DisplayName: "a\nb"},
		"delete":                      {DisplayName: "a\x7f"},
		"a request id with a NUL":     {DisplayName: "a", RequestId: "\x00"},
		"a request id with an accent": {DisplayName: "a", RequestId: "é"},
		"a long request id":           {DisplayName: "a", RequestId: strings.Repeat("r", 65)},
	} {
		_, err = ada.CreateOrganization(ctx, req)
		require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err), name)
	}
}

func start(t *testing.T, database config.Secret) *servicetest.World {
	t.Helper()
	w := servicetest.New(t)
	w.Start(identity.Module(), database)
	return w
}
