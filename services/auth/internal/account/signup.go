package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/auth/ent/credential"
	"ashlar.dev/services/auth/internal/password"
	"ashlar.dev/services/auth/internal/store"
)

// settleTimeout bounds what is still done for a sign-up after its caller has hung up.
const settleTimeout = 5 * time.Second

// Desk signs people up. A sign-up has three steps, so that a crash between any two loses nothing:
//
//  1. the password is kept as pending, under the new person's id;
//  2. identity registers the person under that id;
//  3. the password becomes active.
//
// After a crash before 2 a pending password is left that belongs to nobody, which the Sweeper deletes. After a crash
// before 3 the address is taken, and the next sign-up with it and the same password completes the one that was left:
// whoever knows the password is the person who tried before. It is safe for concurrent use.
type Desk struct {
	people *People
	store  *store.Store
	hasher *password.Hasher
	log    *slog.Logger
}

// NewDesk returns a desk.
func NewDesk(people *People, s *store.Store, hasher *password.Hasher, log *slog.Logger) *Desk {
	return &Desk{people, s, hasher, log}
}

// Applicant is who signs up.
type Applicant struct {
	Email, Password, DisplayName string
	// Actor is who does it for the person; nil: the person.
	Actor *authn.Principal
}

// SignUp registers a person and returns the id. It fails with ErrEmailTaken where the address belongs to somebody who can
// sign in, whom somebody else has added, or who has signed up with another password and was interrupted.
func (d *Desk) SignUp(ctx context.Context, who Applicant) (string, error) {
	hash, err := d.hasher.Hash(ctx, who.Password)
	if err != nil {
		return "", err
	}
	userID := id.New(id.User)
	if err := d.store.CreatePending(ctx, userID, hash); err != nil {
		return "", err
	}
	err = d.people.register(ctx, userID, who.Email, who.DisplayName)
	// From here on the outcome is decided: a caller that hangs up must not keep it from being written.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	switch {
	case err == nil:
		err = d.store.Activate(ctx, userID, hash, who.Actor)
		if errors.Is(err, store.ErrNotPending) {
			// Somebody else signed up with the address, and completed this sign-up before we could.
			err = errors.Join(ErrEmailTaken, err)
		}
		return userID, err
	case errors.Is(err, ErrEmailTaken):
		d.forget(ctx, userID)
		return d.complete(ctx, who, hash, err)
	case connect.CodeOf(err) == connect.CodeInvalidArgument:
		d.forget(ctx, userID)
		return "", err
	default:
		// Whether identity has the person is not known, so the password must stay.
		return "", err
	}
}

// complete takes up the sign-up that a crash left behind, where it is one that made the address taken.
func (d *Desk) complete(ctx context.Context, who Applicant, hash string, taken error) (string, error) {
	person, err := d.people.ByEmail(ctx, who.Email)
	if errors.Is(err, ErrNobody) {
		return "", taken // it was given up just now
	}
	if err != nil {
		return "", err
	}
	found, err := d.store.Credential(ctx, person.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && found.State != credential.StatePending {
		return "", taken
	}
	if err != nil {
		return "", err
	}
	same, _, err := d.hasher.Verify(ctx, found.PasswordHash, who.Password)
	if err != nil {
		return "", err
	}
	if !same {
		return "", taken
	}
	err = d.store.Activate(ctx, person.ID, hash, who.Actor)
	if errors.Is(err, store.ErrNotPending) {
		return "", errors.Join(taken, err)
	}
	return person.ID, err
}

// forget deletes a pending password; where that fails, the Sweeper will do it.
func (d *Desk) forget(ctx context.Context, userID string) {
	if err := d.store.DeletePending(ctx, userID); err != nil {
		d.log.WarnContext(ctx, "cannot delete the rest of a refused sign-up; it is deleted later", "error", err)
	}
}

// Check tells whether a password is a person's. An empty id stands for nobody: it takes as long, and no password is right.
func (d *Desk) Check(ctx context.Context, userID, given string) (bool, error) {
	var hash string
	found, err := d.store.Credential(ctx, userID)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return false, err
	case found.State == credential.StateActive:
		hash = found.PasswordHash
	}
	right, stale, err := d.hasher.Verify(ctx, hash, given)
	if err != nil || !right {
		return false, err
	}
	if stale {
		d.renew(ctx, userID, hash, given)
	}
	return true, nil
}

// renew hashes a password with the parameters of today. The old hash is still good, so a failure harms nobody.
func (d *Desk) renew(ctx context.Context, userID, oldHash, given string) {
	hash, err := d.hasher.Hash(ctx, given)
	if err == nil {
		err = d.store.ReplaceHash(ctx, userID, oldHash, hash)
	}
	if err != nil {
		d.log.WarnContext(ctx, "cannot hash a password with the new parameters; the next sign-in tries again", "error", err)
	}
}
