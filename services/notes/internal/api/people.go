package api

import (
	"context"

	"connectrpc.com/connect/v2"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
)

// People knows who there is.
type People struct {
	accounts identityv1connect.AccountServiceClient
}

// NewPeople returns people as identity knows them.
func NewPeople(clients *rpc.Clients) *People {
	return &People{accounts: identityv1connect.NewAccountServiceClient(clients.Client("identity"))}
}

// check refuses the id of nobody.
func (p *People) check(ctx context.Context, userID string) error {
	_, err := p.accounts.LookupAccount(ctx, &identityv1.LookupAccountRequest{By: &identityv1.LookupAccountRequest_UserId{UserId: userID}})
	if connect.CodeOf(err) == connect.CodeNotFound {
		return rpcerror.New(connect.CodeNotFound, reasonUserNotFound, "no such user", rpcerror.Cause(err))
	}
	return err
}
