package profile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/profile"
)

// open returns a store, and the folder of it, which is not there yet.
func open(t *testing.T) (*profile.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "config")
	store, err := profile.Open(dir)
	require.NoError(t, err)
	return store, dir
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	p, err := store.Load("default")
	require.NoError(t, err)
	require.Equal(t, &profile.Profile{Name: "default"}, p)
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "looking makes nothing")

	expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, store.Update(t.Context(), "default", func(p *profile.Profile) error {
		p.Gateway, p.Email, p.UserID, p.Organization = "http://127.0.0.1:1", "a@example.com", "usr_1", "org_1"
		p.Tokens = profile.Tokens{Access: "access", Refresh: "refresh", ExpiresAt: expires}
		return p.Pin("audit", map[string]int{"size": 7})
	}))
	p, err = store.Load("default")
	require.NoError(t, err)
	assert.Equal(t, "refresh", p.Tokens.Refresh.Reveal())
	assert.Equal(t, "access", p.Tokens.Access.Reveal())
	assert.Equal(t, expires, p.Tokens.ExpiresAt)
	assert.Equal(t, []string{"http://127.0.0.1:1", "a@example.com", "usr_1", "org_1"}, []string{p.Gateway, p.Email, p.UserID, p.Organization})
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", p, p, p), "refresh\"", "a profile that is printed shows no token")
	var pinned map[string]int
	found, err := p.Pinned("audit", &pinned)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, 7, pinned["size"])
	found, err = p.Pinned("other", &pinned)
	require.NoError(t, err)
	assert.False(t, found)

	for path, mode := range map[string]os.FileMode{".": 0o700, "default.json": 0o600, "default.lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), path)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "nothing half-written is left")
}

func TestFailedChangeChangesNothing(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	broken := errors.New("broken")
	require.ErrorIs(t, store.Update(t.Context(), "default", func(p *profile.Profile) error { p.Email = "x"; return broken }), broken)
	p, err := store.Load("default")
	require.NoError(t, err)
	require.Empty(t, p.Email)
}

// Two stores stand for two processes: the lock is that of the system, on open files.
func TestUpdatesAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	first, dir := open(t)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			store, err := profile.Open(dir)
			assert.NoError(t, err)
			assert.NoError(t, store.Update(t.Context(), "default", func(p *profile.Profile) error {
				var n int
				if _, err := p.Pinned("n", &n); err != nil {
					return err
				}
				return p.Pin("n", n+1)
			}))
		})
	}
	wait.Wait()
	p, err := first.Load("default")
	require.NoError(t, err)
	var n int
	_, err = p.Pinned("n", &n)
	require.NoError(t, err)
	require.Equal(t, 20, n)
}

func TestWaitingForTheLockEnds(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	require.NoError(t, store.Update(t.Context(), "default", func(*profile.Profile) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := store.Update(ctx, "default", func(*profile.Profile) error { return nil })
		require.ErrorIs(t, err, context.Canceled)
		return nil
	}))
}

func TestRefusesWhatOthersCanRead(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	require.NoError(t, store.Update(t.Context(), "default", func(p *profile.Profile) error { p.Email = "x"; return nil }))
	path := filepath.Join(dir, "default.json")
	require.NoError(t, os.Chmod(path, 0o640))
	_, err := store.Load("default")
	require.ErrorContains(t, err, "chmod")
	require.ErrorContains(t, store.Update(t.Context(), "default", func(*profile.Profile) error { return nil }), "chmod")
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.Chmod(dir, 0o755))
	_, err = profile.Open(dir)
	require.ErrorContains(t, err, "chmod")
}

func TestRefusesWhatIsNoProfile(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.json"), []byte(`{"refreshToken": 12345678`), 0o600))
	_, err := store.Load("bad")
	require.ErrorContains(t, err, "bad.json")
	require.NotContains(t, err.Error(), "12345678")
	require.NoError(t, os.Symlink("bad.json", filepath.Join(dir, "link.json")))
	_, err = store.Load("link")
	require.Error(t, err)
	for _, name := range []string{"", "..", "../x", "a/b", "A", ".x", "a\x00"} {
		_, err := store.Load(name)
		require.ErrorContains(t, err, "name", name)
	}
}
