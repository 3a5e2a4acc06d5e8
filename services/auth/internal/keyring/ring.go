// Package keyring holds the keys that access tokens are signed and verified with. The keys are in the store, the same for
// all instances; each instance remembers them for a while. The package knows nothing of what is in a token.
package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/kernel/sealedkey"
	"ashlar.dev/services/auth/internal/store"
)

const keyKind id.Kind = "key"

// ErrWrongClusterKey says that a signing key was sealed under another cluster key, or was changed.
var ErrWrongClusterKey = errors.New("the cluster key is not the one that this database's signing keys were sealed with: " +
	"start with that cluster key; if it is lost, delete the rows of the table signing_keys, and every access token has to be refreshed once")

const (
	// MaxAge is how long an instance may go on signing with a key that another one has retired.
	MaxAge = time.Minute
	// Retention is how long a retired key is published: longer than MaxAge, the life of a token, and what clocks may differ
	// together.
	Retention = 10 * time.Minute
	// minAge is how old the keys must be before an unknown id makes us look again, so that made-up ids do not flood the
	// database.
	minAge = time.Second
	// loadTimeout bounds one look.
	loadTimeout = 3 * time.Second
)

// Key is a public key that tokens are verified with.
type Key struct {
	ID     string
	Public ed25519.PublicKey
}

// Ring is an authn.KeySource. It is safe for concurrent use.
type Ring struct {
	store  *store.Store
	sealer sealedkey.Sealer
	clock  func() time.Time
	flight singleflight.Group

	mu   sync.Mutex
	held held
}

// held is what an instance remembers.
type held struct {
	loaded time.Time
	public map[string]publicKey
	kid    string
	signer ed25519.PrivateKey
}

type publicKey struct {
	ed25519.PublicKey

	// until is when it stops being published; zero: it signs.
	until time.Time
}

// New returns a ring over a store, whose private keys are sealed with a key of 32 bytes. It holds nothing before Open.
func New(s *store.Store, key []byte, clock func() time.Time) (*Ring, error) {
	seals, err := sealedkey.NewSealer(key)
	if err != nil {
		return nil, err
	}
	return &Ring{store: s, sealer: seals, clock: clock}, nil
}

// Open makes the first signing key where there is none, and loads. It fails with ErrWrongClusterKey where the keys that
// are there were sealed with another.
func (r *Ring) Open(ctx context.Context) error {
	if err := r.store.CreateFirstSigningKey(ctx, r.generate()); err != nil {
		return fmt.Errorf("create the first signing key: %w", err)
	}
	return r.load(ctx)
}

// Rotate makes a new signing key, retires the old one, and returns the new one's id.
func (r *Ring) Rotate(ctx context.Context) (string, error) {
	kid, err := r.store.ReplaceSigningKey(ctx, r.generate())
	if err != nil {
		return "", err
	}
	return kid, r.load(ctx)
}

func (r *Ring) generate() store.NewSigningKey {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	kid := id.New(keyKind)
	return store.NewSigningKey{ID: kid, PublicKey: public, SealedPrivateKey: r.sealer.Seal(kid, private)}
}

// Signer returns the key to sign with and its id.
func (r *Ring) Signer(ctx context.Context) (string, ed25519.PrivateKey, error) {
	h := r.look()
	if !r.fresh(h) {
		if err := r.loadOnce(ctx); err != nil {
			return "", nil, err
		}
		h = r.look()
	}
	return h.kid, h.signer, nil
}

// Key implements authn.KeySource.
func (r *Ring) Key(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	h := r.look()
	key, ok := h.public[kid]
	switch {
	case ok && r.fresh(h):
		return r.published(key)
	case !ok && !r.older(h, minAge):
		return nil, authn.ErrUnknownKey
	}
	if err := r.loadOnce(ctx); err != nil {
		return nil, err
	}
	if key, ok = r.look().public[kid]; !ok {
		return nil, authn.ErrUnknownKey
	}
	return r.published(key)
}

func (r *Ring) published(key publicKey) (ed25519.PublicKey, error) {
	if !key.until.IsZero() && !r.clock().Before(key.until) {
		return nil, authn.ErrUnknownKey
	}
	return key.PublicKey, nil
}

// Published returns the keys that tokens in circulation may be signed with. It always looks: whoever asks may just have
// seen a token by a key that another instance made.
func (r *Ring) Published(ctx context.Context) ([]Key, error) {
	rows, err := r.store.SigningKeys(ctx, Retention)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(rows))
	for i, row := range rows {
		keys[i] = Key{ID: row.ID, Public: row.PublicKey}
	}
	return keys, nil
}

func (r *Ring) look() held {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

func (r *Ring) fresh(h held) bool { return !r.older(h, MaxAge) }

func (r *Ring) older(h held, age time.Duration) bool { return r.clock().Sub(h.loaded) >= age }

// loadOnce loads; many that wait load once.
func (r *Ring) loadOnce(ctx context.Context) error {
	done := r.flight.DoChan("", func() (any, error) {
		// It is on behalf of all that wait, so one caller's cancellation must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return nil, r.load(ctx)
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Ring) load(ctx context.Context) error {
	begun := r.clock()
	rows, err := r.store.SigningKeys(ctx, Retention)
	if err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	h := held{loaded: begun, public: make(map[string]publicKey, len(rows))}
	for _, row := range rows {
		if len(row.PublicKey) != ed25519.PublicKeySize {
			return fmt.Errorf("signing key %s: its public key has %d bytes: somebody changed the row", row.ID, len(row.PublicKey))
		}
		key := publicKey{PublicKey: row.PublicKey}
		if row.RetiredAt != nil {
			key.until = row.RetiredAt.Add(Retention)
		}
		h.public[row.ID] = key
		if row.Active == nil {
			continue
		}
		h.kid = row.ID
		h.signer, err = r.sealer.Open(row.ID, row.PublicKey, row.SealedPrivateKey)
		switch {
		case errors.Is(err, sealedkey.ErrWrongKey):
			return fmt.Errorf("signing key %s: %w", row.ID, ErrWrongClusterKey)
		case err != nil:
			return fmt.Errorf("signing key %s: %w", row.ID, err)
		}
	}
	if h.signer == nil {
		return errors.New("signing keys: none of them signs: restart the service, which then makes one")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// A look that began before another one ended knows less.
	if h.loaded.Before(r.held.loaded) {
		return nil
	}
	r.held = h
	return nil
}
