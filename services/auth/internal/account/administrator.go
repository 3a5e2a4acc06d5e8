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
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/platform/policy"
	"ashlar.dev/services/auth/ent/credential"
	"ashlar.dev/services/auth/internal/store"
)

const (
	// adminRole is authz's role that may do everything.
	adminRole = "authz.admin"
	adminName = "Administrator"
)

// Administrator sees to it that the first administrator exists: a person who can sign in and holds the administrator's
// role everywhere. Each step can be done again, and by several instances at once, so a crash between two is mended by the
// next start.
type Administrator struct {
	desk   *Desk
	policy authzv1connect.PolicyServiceClient
	log    *slog.Logger
}

// NewAdministrator returns an administrator who is signed up at a desk; authz keeps the role.
func NewAdministrator(desk *Desk, clients *rpc.Clients, log *slog.Logger) *Administrator {
	return &Administrator{desk: desk, policy: authzv1connect.NewPolicyServiceClient(clients.Client(policy.Service)), log: log}
}

// Ensure makes a person with an address the administrator. Whoever has a password already keeps it. A service that is
// away for a moment is waited for until ctx ends.
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
		person.ID, err = a.desk.SignUp(ctx, who)
		if errors.Is(err, ErrEmailTaken) {
			// Another instance was faster.
			person, err = a.desk.people.ByEmail(ctx, who.Email)
		}
	}
	if err != nil {
		return err
	}
	if person.Deactivated {
		a.log.WarnContext(ctx, "the administrator of the configuration is deactivated and cannot sign in", "user", person.ID)
	}
	if err := a.ensurePassword(ctx, person.ID, who); err != nil {
		return err
	}
	_, err = a.policy.EnsureGrant(ctx, &authzv1.EnsureGrantRequest{UserId: person.ID, Role: adminRole})
	return err
}

func (a *Administrator) ensurePassword(ctx context.Context, userID string, who Applicant) error {
	found, err := a.desk.store.Credential(ctx, userID)
	if err == nil && found.State == credential.StateActive {
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	pending := err == nil
	hash, err := a.desk.hasher.Hash(ctx, who.Password)
	if err != nil {
		return err
	}
	if !pending {
		return a.desk.store.CreateActive(ctx, userID, hash, who.Actor)
	}
	err = a.desk.store.Activate(ctx, userID, hash, who.Actor)
	if errors.Is(err, store.ErrNotPending) {
		return nil // it was completed just now
	}
	return err
}

func temporary(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeAborted, connect.CodeResourceExhausted:
		return true
	default:
		return false
	}
}
