package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"github.com/cenkalti/backoff/v5"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/gen/go/permissions/authzperms"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/platform/policy"
	"ashlar.dev/services/auth/ent/credential"
	"ashlar.dev/services/auth/internal/store"
)

const (
	// adminRole is authz's role that may do everything.
	adminRole = string(authzperms.RoleAdmin)
	adminName = "Administrator"
)

// Administrator sees to it that the first administrator exists: a person who can sign in and holds the administrator's
// role everywhere. Each step can be done again, and by several instances at once, so a crash between two is mended by the
// next start.
//
// Anybody can sign up with any address, so an address alone makes nobody an administrator: the role goes to an account
// that was made here, or whose password is the configured one. It is given once; that is remembered, so that it stays
// with authz whether it is taken away later.
type Administrator struct {
	desk   *Desk
	policy authzv1connect.PolicyServiceClient
	log    *slog.Logger
}

// NewAdministrator returns an administrator who is signed up at a desk; authz keeps the role.
func NewAdministrator(desk *Desk, clients *rpc.Clients, log *slog.Logger) *Administrator {
	return &Administrator{desk: desk, policy: authzv1connect.NewPolicyServiceClient(clients.Client(policy.Service)), log: log}
}

// Ensure makes the person with an address the administrator, once. It refuses where the address belongs to somebody who
// does not have the configured password. A service that is away for a moment is waited for until ctx ends.
func (a *Administrator) Ensure(ctx context.Context, email string, secret config.Secret) error {
	who := Applicant{
		Email: email, Password: secret.Reveal(), DisplayName: adminName,
		Actor: &authn.Principal{Kind: authn.Service, ServiceName: "auth"},
	}
	// The rules are those of everybody, and they are written in the schema.
	err := protovalidate.Validate(&authv1.SignUpRequest{Email: who.Email, Password: who.Password, DisplayName: who.DisplayName})
	if err != nil {
		return fmt.Errorf("first administrator: ASHLAR_ADMIN_EMAIL and ASHLAR_ADMIN_PASSWORD (or the file): %w", err)
	}
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		err := a.ensure(ctx, who)
		if err != nil && !temporary(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second,
	}), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return fmt.Errorf("first administrator: %w", err)
	}
	return nil
}

func (a *Administrator) ensure(ctx context.Context, who Applicant) error {
	person, err := a.desk.people.ByEmail(ctx, who.Email)
	if errors.Is(err, ErrNobody) {
		var userID string
		userID, err = a.desk.SignUp(ctx, who)
		if err == nil {
			return a.grant(ctx, userID)
		}
		if errors.Is(err, ErrEmailTaken) {
			// Another instance was faster, or somebody who has signed up just now.
			person, err = a.desk.people.ByEmail(ctx, who.Email)
		}
	}
	if err != nil {
		return err
	}
	if person.Deactivated {
		a.log.WarnContext(ctx, "the administrator of the configuration is deactivated and cannot sign in", "user", person.ID)
	}
	made, err := a.desk.store.WasMadeAdministrator(ctx, person.ID)
	if err != nil {
		return err
	}
	if made {
		return a.ensurePassword(ctx, person.ID, who)
	}
	if err := a.prove(ctx, person.ID, who); err != nil {
		return err
	}
	return a.grant(ctx, person.ID)
}

// grant gives the role and remembers that it was given. After a crash between the two the next start gives it again.
func (a *Administrator) grant(ctx context.Context, userID string) error {
	if _, err := a.policy.EnsureGrant(ctx, &authzv1.EnsureGrantRequest{UserId: userID, Role: adminRole}); err != nil {
		return err
	}
	return a.desk.store.NoteAdministrator(ctx, userID)
}

// prove makes sure that a person who was there already is the one whom the configuration means, by the password. Where a
// sign-up is pending with it, which is what a crash in here leaves behind, it is completed.
func (a *Administrator) prove(ctx context.Context, userID string, who Applicant) error {
	found, err := a.desk.store.Credential(ctx, userID)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%s belongs to %s, who was not made an administrator by the configuration and has no password to tell whether it is the same person: "+
			"set ASHLAR_ADMIN_EMAIL to an address that nobody has", who.Email, userID)
	}
	if err != nil {
		return err
	}
	right, _, err := a.desk.hasher.Verify(ctx, found.PasswordHash, who.Password)
	if err != nil {
		return err
	}
	if !right {
		return fmt.Errorf("%s belongs to %s, who signed up with another password than the configured one and is not made an administrator: "+
			"set ASHLAR_ADMIN_EMAIL to an address that nobody has, or, if it is the same person, ASHLAR_ADMIN_PASSWORD (or the file) to that password", who.Email, userID)
	}
	if found.State == credential.StateActive {
		return nil
	}
	err = a.desk.store.Activate(ctx, userID, found.PasswordHash, who.Actor)
	if errors.Is(err, store.ErrNotPending) {
		return nil // it was completed just now, with the same password
	}
	return err
}

// ensurePassword gives the configured password to the administrator if there is none: whoever runs the platform has taken
// the old one away. One that is there stays.
func (a *Administrator) ensurePassword(ctx context.Context, userID string, who Applicant) error {
	_, err := a.desk.store.Credential(ctx, userID)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	hash, err := a.desk.hasher.Hash(ctx, who.Password)
	if err != nil {
		return err
	}
	return a.desk.store.CreateActive(ctx, userID, hash, who.Actor)
}

func temporary(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeAborted, connect.CodeResourceExhausted:
		return true
	default:
		return false
	}
}
