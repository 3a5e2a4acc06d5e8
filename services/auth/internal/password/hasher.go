// Package password hashes passwords with argon2id (RFC 9106) and verifies them. It knows neither people nor where hashes
// are kept.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

const (
	saltBytes = 16
	tagBytes  = 32
	// queuePerSlot bounds how many wait for their turn: with 30 ms a hash, nobody waits for much more than a second.
	queuePerSlot = 32
)

// Params is what a hash costs.
type Params struct {
	// Memory is in KiB.
	Memory uint32
	Passes uint32
	// Threads is argon2's parallelism.
	Threads uint8
}

// DefaultParams is the least that OWASP's Password Storage Cheat Sheet recommends for argon2id: 19 MiB, 2 passes, 1 thread.
var DefaultParams = Params{Memory: 19 << 10, Passes: 2, Threads: 1}

// ErrOverloaded says that too many passwords are being hashed already.
var ErrOverloaded = errors.New("too many passwords are being hashed")

// Hasher hashes and verifies. Each hash takes a core and much memory, and anybody can ask for one, so it works on as many
// at once as there are cores; more wait, and beyond a bound they are turned away with ErrOverloaded. It is safe for
// concurrent use.
type Hasher struct {
	params  Params
	slots   chan struct{}
	waiting atomic.Int64
	// nobody is a hash that no password has.
	nobody hash
}

// NewHasher returns a hasher that makes hashes with these parameters.
func NewHasher(params Params) *Hasher {
	nobody := hash{Params: params, salt: make([]byte, saltBytes), tag: make([]byte, tagBytes)}
	_, _ = rand.Read(nobody.salt) // never fails (crypto/rand)
	_, _ = rand.Read(nobody.tag)
	return &Hasher{params: params, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), nobody: nobody}
}

// Hash returns the PHC string of a password. It fails with ErrOverloaded, or when ctx ends before its turn comes.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	made := hash{Params: h.params, salt: make([]byte, saltBytes)}
	_, _ = rand.Read(made.salt) // never fails (crypto/rand)
	err := h.inTurn(ctx, func() { made.tag = derive(password, made, tagBytes) })
	if err != nil {
		return "", err
	}
	return made.String(), nil
}

// Verify tells whether a password is the one of a PHC string, and whether that was made with other parameters than those
// of today and should be made anew. An empty string stands for nobody: it takes as long, and no password is right. It
// fails with ErrMalformed, ErrOverloaded, or when ctx ends before its turn comes.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (right, stale bool, err error) {
	stored := h.nobody
	if encoded != "" {
		if stored, err = parse(encoded); err != nil {
			return false, false, err
		}
	}
	err = h.inTurn(ctx, func() {
		tag := derive(password, stored, len(stored.tag))
		right = subtle.ConstantTimeCompare(tag, stored.tag) == 1
	})
	if err != nil {
		return false, false, err
	}
	return right && encoded != "", stored.Params != h.params || len(stored.tag) != tagBytes, nil
}

func (h *Hasher) inTurn(ctx context.Context, work func()) error {
	select {
	case h.slots <- struct{}{}:
	default:
		if err := h.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-h.slots }()
	work()
	return nil
}

func (h *Hasher) wait(ctx context.Context) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(queuePerSlot*cap(h.slots)) {
		return ErrOverloaded
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func derive(password string, h hash, size int) []byte {
	// What looks the same may be typed as different code points (NIST SP 800-63B-4, section 3.1.1.2; the form is that of
	// RFC 8265, section 4.2.2).
	return argon2.IDKey([]byte(norm.NFC.String(password)), h.salt, h.Passes, h.Memory, h.Threads, uint32(size))
}
