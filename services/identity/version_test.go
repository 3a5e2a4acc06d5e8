package identity_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/ent/database/dbtest"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/gen/go/permissions/identityperms"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/servicetest"
)

var displayName = &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}

func TestVersions(t *testing.T) { dbtest.EachURL(t, versions) }

func versions(t *testing.T, database config.Secret) {
	ctx, w := context.Background(), start(t, database)
	for _, p := range []string{"create", "update", "deactivate"} {
		w.Allow("usr_root", "identity.user."+p, "")
	}
	users := identityv1connect.NewUserServiceClient(w.As("usr_root", "identity"))
	created, err := users.CreateUser(ctx, &identityv1.CreateUserRequest{Email: "zoe@example.com", DisplayName: "Zoe"})
	require.NoError(t, err)
	zoe := created.GetUser()
	require.EqualValues(t, 1, zoe.GetVersion())
	rename := func(version int64) (*identityv1.User, error) {
		res, err := users.UpdateUser(ctx, &identityv1.UpdateUserRequest{
			User: &identityv1.User{Id: zoe.GetId(), DisplayName: "Z", Version: version}, UpdateMask: displayName,
		})
		return res.GetUser(), err
	}
	changed, err := rename(1)
	require.NoError(t, err)
	require.EqualValues(t, 2, changed.GetVersion())
	_, err = rename(1)
	require.Equal(t, connect.CodeAborted, connect.CodeOf(err))
	require.Equal(t, "USER_CHANGED", rpcerror.Reason(err))
	_, err = rename(-1)
	require.Equal(t, rpcerror.ReasonInvalidRequest, rpcerror.Reason(err))
	changed, err = rename(0)
	require.NoError(t, err, "without a version, whatever it is")
	require.EqualValues(t, 3, changed.GetVersion())

	off, err := users.DeactivateUser(ctx, &identityv1.DeactivateUserRequest{UserId: zoe.GetId()})
	require.NoError(t, err)
	require.EqualValues(t, 4, off.GetUser().GetVersion())
	require.NotNil(t, off.GetUser().GetDeactivatedAt())
	again, err := users.DeactivateUser(ctx, &identityv1.DeactivateUserRequest{UserId: zoe.GetId()})
	require.NoError(t, err)
	require.EqualValues(t, 4, again.GetUser().GetVersion(), "nothing has changed")
	require.Equal(t, off.GetUser().GetDeactivatedAt().AsTime(), again.GetUser().GetDeactivatedAt().AsTime())
	on, err := users.ReactivateUser(ctx, &identityv1.ReactivateUserRequest{UserId: zoe.GetId()})
	require.NoError(t, err)
	require.EqualValues(t, 5, on.GetUser().GetVersion())
	require.Nil(t, on.GetUser().GetDeactivatedAt())

	_, err = users.UpdateUser(ctx, &identityv1.UpdateUserRequest{
		User: &identityv1.User{Id: "usr_none", DisplayName: "Z", Version: 1}, UpdateMask: displayName,
	})
	require.Equal(t, "USER_NOT_FOUND", rpcerror.Reason(err))
}

// Two instances, and at each somebody who edits what both have seen: one of them is told that the other was first.
func TestTwoWriters(t *testing.T) { dbtest.EachURL(t, writers) }

func writers(t *testing.T, database config.Secret) {
	ctx := context.Background()
	worlds := []*servicetest.World{start(t, database), start(t, database)}
	creator := identityv1connect.NewOrganizationServiceClient(worlds[0].As("usr_ada", "identity"))
	created, err := creator.CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{DisplayName: "Acme"})
	require.NoError(t, err)
	acme := created.GetOrganization()
	zoe, err := identityv1connect.NewAccountServiceClient(worlds[0].AsService("auth", "identity")).
		RegisterAccount(ctx, &identityv1.RegisterAccountRequest{UserId: "usr_zoe", Email: "zoe@example.com", DisplayName: "Zoe"})
	require.NoError(t, err)
	for _, w := range worlds {
		w.Allow("usr_ada", string(identityperms.OrganizationUpdate), acme.GetId())
		w.Allow("usr_ada", string(identityperms.UserUpdate), "")
	}
	edits := map[string]struct {
		seen   int64
		edit   func(i int, version int64, name string) (int64, error)
		reason string
	}{
		"organizations": {acme.GetVersion(), func(i int, version int64, name string) (int64, error) {
			res, err := identityv1connect.NewOrganizationServiceClient(worlds[i].As("usr_ada", "identity")).
				UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
					Organization: &identityv1.Organization{Id: acme.GetId(), DisplayName: name, Version: version}, UpdateMask: displayName,
				})
			return res.GetOrganization().GetVersion(), err
		}, "ORGANIZATION_CHANGED"},
		"users": {zoe.GetUser().GetVersion(), func(i int, version int64, name string) (int64, error) {
			res, err := identityv1connect.NewUserServiceClient(worlds[i].As("usr_ada", "identity")).UpdateUser(ctx, &identityv1.UpdateUserRequest{
				User: &identityv1.User{Id: "usr_zoe", DisplayName: name, Version: version}, UpdateMask: displayName,
			})
			return res.GetUser().GetVersion(), err
		}, "USER_CHANGED"},
	}
	for name, of := range edits {
		for round := range 10 {
			var both sync.WaitGroup
			errs := make([]error, len(worlds))
			versions := make([]int64, len(worlds))
			for i := range worlds {
				both.Go(func() { versions[i], errs[i] = of.edit(i, of.seen, fmt.Sprintf("%d of %d", round, i)) })
			}
			both.Wait()
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			require.NoError(t, errs[winner], name)
			require.Equal(t, of.reason, rpcerror.Reason(errs[1-winner]), name)
			require.Equal(t, of.seen+1, versions[winner], name)
			of.seen = versions[winner]
		}
	}
}
