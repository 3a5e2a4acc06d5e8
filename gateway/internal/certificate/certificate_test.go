package certificate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/certificate/certificatetest"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	day := 24 * time.Hour
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	write := func(certificate, key string) {
		require.NoError(t, os.WriteFile(certFile, []byte(certificate), 0o644))
		require.NoError(t, os.WriteFile(keyFile, []byte(key), 0o600))
	}
	h := New(certFile, keyFile)
	_, err := h.Get(nil)
	require.Error(t, err)
	assert.Zero(t, h.Expiry())
	require.NoError(t, h.Worry())
	_, err = h.Load()
	require.ErrorContains(t, err, certFile)

	first, firstKey := certificatetest.New(t, now.Add(-day), now.Add(9*day))
	write(first, firstKey)
	changed, err := h.Load()
	require.NoError(t, err)
	assert.True(t, changed)
	changed, err = h.Load()
	require.NoError(t, err)
	assert.False(t, changed, "it is the same")
	held, err := h.Get(nil)
	require.NoError(t, err)
	assert.Equal(t, now.Add(9*day).UTC(), h.Expiry())

	second, secondKey := certificatetest.New(t, now.Add(-day), now.Add(day))
	expired, expiredKey := certificatetest.New(t, now.Add(-2*day), now.Add(-day))
	for name, c := range map[string]struct{ certificate, key, says string }{
		"another key":    {second, firstKey, "private key does not match public key"},
		"no certificate": {firstKey, firstKey, "failed to find"},
		"no key":         {second, second, "found a certificate rather than a key"},
		"nonsense":       {"x", "hunter2", "failed to find"},
		"cut":            {second[:len(second)/2], secondKey, "failed to find"},
		"expired":        {expired, expiredKey, "expired at"},
		"large":          {strings.Repeat("x", maxBytes+1), secondKey, "more than"},
	} {
		write(c.certificate, c.key)
		_, err = h.Load()
		require.ErrorContains(t, err, c.says, name)
		assert.NotContains(t, err.Error(), "hunter2")
		still, err := h.Get(nil)
		require.NoError(t, err)
		assert.Same(t, held, still, name)
	}
	write(second, secondKey)
	require.NoError(t, os.Chmod(keyFile, 0o640))
	_, err = h.Load()
	require.ErrorContains(t, err, "others can read")
	require.NoError(t, os.Chmod(keyFile, 0o600))
	changed, err = h.Load()
	require.NoError(t, err)
	assert.True(t, changed)
}

func TestWorry(t *testing.T) {
	t.Parallel()
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	certificate, key := certificatetest.New(t, begin, begin.Add(100*time.Hour))
	folder := t.TempDir()
	h := New(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	require.NoError(t, os.WriteFile(h.certFile, []byte(certificate), 0o644))
	require.NoError(t, os.WriteFile(h.keyFile, []byte(key), 0o600))
	_, err := h.Load()
	require.NoError(t, err)
	for _, c := range []struct {
		after time.Duration
		says  string
	}{
		{-time.Hour, "not valid before 2030-01-01T00:00:00Z"},
		{time.Hour, ""},
		{89 * time.Hour, ""},
		{91 * time.Hour, "expires at 2030-01-05T04:00:00Z"},
		{101 * time.Hour, "expired at 2030-01-05T04:00:00Z"},
	} {
		h.now = func() time.Time { return begin.Add(c.after) }
		if c.says == "" {
			require.NoError(t, h.Worry(), c.after)
			continue
		}
		require.ErrorContains(t, h.Worry(), c.says)
	}
}
