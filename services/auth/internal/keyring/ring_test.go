package keyring

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/auth/internal/store"
	"ashlar.dev/services/auth/migrations"
)

// world is one database on which instances have rings.
type world struct {
	t   *testing.T
	url config.Secret
	key []byte

	mu  sync.Mutex
	now time.Time
}

func each(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		require.NoError(t, migrate.Apply(t.Context(), dbtest.Open(t, url), migrations.FS, slog.New(slog.DiscardHandler)))
		test(t, &world{t: t, url: url, key: workload.NewClusterKey().Derive("test"), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	})
}

// instance returns the ring of one more instance, not opened, and its database.
func (w *world) instance(key []byte) (*Ring, *database.Database) {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	db := dbtest.Open(w.t, w.url)
	s := store.New(db, trail.New("auth", outbox.New(db, log, nil), db.DB, log, prometheus.NewRegistry()), w.clock)
	ring, err := New(s, key, w.clock)
	require.NoError(w.t, err)
	return ring, db
}

func (w *world) open() *Ring {
	w.t.Helper()
	ring, _ := w.instance(w.key)
	require.NoError(w.t, ring.Open(w.t.Context()))
	return ring
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// signer returns the id of the key that a ring signs with, after trying that another ring verifies it.
func (w *world) signer(ring, verifier *Ring) string {
	w.t.Helper()
	kid, private, err := ring.Signer(w.t.Context())
	require.NoError(w.t, err)
	public, err := verifier.Key(w.t.Context(), kid)
	require.NoError(w.t, err)
	assert.True(w.t, ed25519.Verify(public, []byte("message"), ed25519.Sign(private, []byte("message"))))
	return kid
}

func published(t *testing.T, ring *Ring) []string {
	t.Helper()
	keys, err := ring.Published(t.Context())
	require.NoError(t, err)
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	return ids
}

func TestTenInstancesStartWithOneKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rings := make([]*Ring, 10)
		for i := range rings {
			rings[i], _ = w.instance(w.key)
		}
		var ready, done sync.WaitGroup
		ready.Add(len(rings))
		for _, ring := range rings {
			done.Go(func() {
				ready.Done()
				ready.Wait()
				assert.NoError(t, ring.Open(t.Context()))
			})
		}
		done.Wait()
		ids := published(t, rings[0])
		require.Len(t, ids, 1)
		for i, ring := range rings {
			assert.Equal(t, ids[0], w.signer(ring, rings[(i+1)%len(rings)]))
		}
	})
}

func TestAnotherClusterKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.open()
		ring, _ := w.instance(workload.NewClusterKey().Derive("test"))
		err := ring.Open(t.Context())
		require.ErrorIs(t, err, ErrWrongClusterKey)
		require.ErrorContains(t, err, "the cluster key is not the one")
	})
}

func TestRotationReachesOtherInstances(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		here, there := w.open(), w.open()
		before := w.signer(here, there)
		w.pass(minAge)
		after, err := here.Rotate(ctx)
		require.NoError(t, err)
		require.NotEqual(t, before, after)

		assert.Equal(t, []string{before, after}, published(t, there), "whoever asks any instance is told at once")
		assert.Equal(t, after, w.signer(here, there), "an instance that does not know the key looks")
		assert.Equal(t, after, w.signer(there, here), "and signs with it from then on")
		_, err = there.Key(ctx, before)
		require.NoError(t, err, "tokens by the old key are good")

		w.pass(Retention - time.Microsecond)
		for _, ring := range []*Ring{here, there} {
			_, err = ring.Key(ctx, before)
			require.NoError(t, err)
		}
		w.pass(time.Microsecond)
		for _, ring := range []*Ring{here, there} {
			_, err = ring.Key(ctx, before)
			require.ErrorIs(t, err, authn.ErrUnknownKey, "also where it is remembered")
		}
		assert.Equal(t, []string{after}, published(t, here))
	})
}

func TestAnInstanceSignsWithARetiredKeyForAWhile(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		here, there := w.open(), w.open()
		before := w.signer(there, here)
		after, err := here.Rotate(t.Context())
		require.NoError(t, err)
		w.pass(MaxAge - time.Microsecond)
		assert.Equal(t, before, w.signer(there, here))
		w.pass(time.Microsecond)
		assert.Equal(t, after, w.signer(there, here))
	})
}

func TestUnknownKeysDoNotFloodTheDatabase(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ring, db := w.instance(w.key)
		require.NoError(t, ring.Open(ctx))
		w.pass(minAge)
		_, err := ring.Key(ctx, "key_unknown")
		require.ErrorIs(t, err, authn.ErrUnknownKey)
		kid, _, err := ring.Signer(ctx)
		require.NoError(t, err)

		require.NoError(t, db.DB.Close())
		_, err = ring.Key(ctx, "key_unknown")
		require.ErrorIs(t, err, authn.ErrUnknownKey, "it did not look")
		_, err = ring.Key(ctx, kid)
		require.NoError(t, err, "nor for a key that it knows")
		w.pass(minAge)
		_, err = ring.Key(ctx, "key_unknown")
		require.Error(t, err)
		require.NotErrorIs(t, err, authn.ErrUnknownKey, "it cannot tell")
		w.pass(MaxAge)
		_, _, err = ring.Signer(ctx)
		require.Error(t, err, "nor may it sign with a key that may be retired")
	})
}

func TestACallerThatHangsUpDoesNotWait(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ring := w.open()
		w.pass(MaxAge)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		// The look may be over before the caller is seen to be gone.
		if _, _, err := ring.Signer(ctx); err != nil {
			require.True(t, errors.Is(err, context.Canceled), "%v", err)
		}
		_, _, err := ring.Signer(t.Context())
		require.NoError(t, err)
	})
}
