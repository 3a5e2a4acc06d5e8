// Package account brings people and their passwords together: identity knows the people, the store has the passwords, and
// no transaction spans the two. It knows neither sessions nor tokens.
package account

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/rpc"
)

// identity is the name of the service that knows people.
const identity = "identity"

var (
	// ErrNobody says that there is no such person.
	ErrNobody = errors.New("no such person")
	// ErrEmailTaken says that an address belongs to somebody.
	ErrEmailTaken = errors.New("the email address belongs to somebody")
)

// Person is what auth needs to know of a person.
type Person struct {
	ID, Email, DisplayName string
	Deactivated            bool
}

// People asks identity. Errors of identity that have no meaning here are returned as they came. It is safe for concurrent
// use.
type People struct {
	accounts identityv1connect.AccountServiceClient
}

// NewPeople returns people that identity knows.
func NewPeople(clients *rpc.Clients) *People {
	return &People{accounts: identityv1connect.NewAccountServiceClient(clients.Client(identity))}
}

// ByID returns a person; it fails with ErrNobody.
func (p *People) ByID(ctx context.Context, userID string) (Person, error) {
	return p.lookup(ctx, &identityv1.LookupAccountRequest{By: &identityv1.LookupAccountRequest_UserId{UserId: userID}})
}

// ByEmail returns the person to whom an address belongs; it fails with ErrNobody.
func (p *People) ByEmail(ctx context.Context, email string) (Person, error) {
	return p.lookup(ctx, &identityv1.LookupAccountRequest{By: &identityv1.LookupAccountRequest_Email{Email: email}})
}

func (p *People) lookup(ctx context.Context, req *identityv1.LookupAccountRequest) (Person, error) {
	res, err := p.accounts.LookupAccount(ctx, req)
	if connect.CodeOf(err) == connect.CodeNotFound {
		return Person{}, errors.Join(ErrNobody, err)
	}
	if err != nil {
		return Person{}, err
	}
	u := res.GetUser()
	return Person{
		ID: u.GetId(), Email: u.GetEmail(), DisplayName: u.GetDisplayName(),
		Deactivated: u.GetState() == identityv1.UserState_USER_STATE_DEACTIVATED,
	}, nil
}

// register adds a person under an id; it fails with ErrEmailTaken.
func (p *People) register(ctx context.Context, userID, email, displayName string) error {
	_, err := p.accounts.RegisterAccount(ctx, &identityv1.RegisterAccountRequest{UserId: userID, Email: email, DisplayName: displayName})
	if connect.CodeOf(err) == connect.CodeAlreadyExists {
		return errors.Join(ErrEmailTaken, err)
	}
	return err
}
