package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/platform/auditlog"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/profile"
)

const gateway = "http://127.0.0.1:8080"

func signer(t *testing.T, seed string) *auditlog.Signer {
	t.Helper()
	s, err := auditlog.NewSigner("example.com/audit", ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, ed25519.SeedSize))))
	require.NoError(t, err)
	return s
}

func signed(t *testing.T, s *auditlog.Signer, size int64) pinned {
	t.Helper()
	text, err := s.Sign(size, [32]byte{byte(size)})
	require.NoError(t, err)
	return pinned{VerifierKey: s.VerifierKey(), Checkpoint: text}
}

func TestAKeyIsTrustedOnFirstUseOnly(t *testing.T) {
	t.Parallel()
	one, two := signer(t, "1"), signer(t, "2")
	p := &profile.Profile{Name: "default"}
	key, before, err := trust(p, gateway, "", one.VerifierKey())
	require.NoError(t, err)
	require.Nil(t, before)
	require.Equal(t, one.VerifierKey(), key)

	require.NoError(t, p.Pin(pinName(gateway), signed(t, one, 7)))
	_, before, err = trust(p, gateway, "", one.VerifierKey())
	require.NoError(t, err)
	require.Equal(t, int64(7), before.Size)
	_, _, err = trust(p, gateway, "", two.VerifierKey())
	require.Equal(t, exit.Tampered, exit.Code(err))
	require.ErrorContains(t, err, two.VerifierKey())

	// Whoever was told the new key may take it, and what was seen still counts.
	key, before, err = trust(p, gateway, two.VerifierKey(), two.VerifierKey())
	require.NoError(t, err)
	require.Equal(t, two.VerifierKey(), key)
	require.Equal(t, int64(7), before.Size)
	_, _, err = trust(p, gateway, one.VerifierKey(), two.VerifierKey())
	require.Equal(t, exit.Tampered, exit.Code(err))

	_, before, err = trust(p, "https://example.com", "", two.VerifierKey())
	require.NoError(t, err, "another gateway has another log")
	require.Nil(t, before)

	require.NoError(t, p.Pin(pinName(gateway), pinned{VerifierKey: one.VerifierKey(), Checkpoint: "edited"}))
	_, _, err = trust(p, gateway, "", one.VerifierKey())
	require.Error(t, err, "what was edited is not forgotten")
}

// That the service says so itself is no weaker than to have found it out.
func TestTheServiceSaysThatTheLogIsDamaged(t *testing.T) {
	t.Parallel()
	said := connect.NewError(connect.CodeDataLoss, "the audit log is not what was signed").WithRemote()
	err := coded(fmt.Errorf("look: %w", said))
	require.Equal(t, exit.Tampered, exit.Code(err))
	require.ErrorContains(t, err, "the audit log is not what was signed")
	require.Equal(t, exit.Tampered, exit.Code(client.Explain(err)), "it stays that")

	require.Equal(t, exit.Failure, exit.Code(coded(auditlog.ErrNewer)), "nobody is to blame")
	require.Equal(t, exit.Failure, exit.Code(coded(errors.New("cut"))))
}

// Two commands that verify at once: the newer checkpoint stays.
func TestTheNewerCheckpointStays(t *testing.T) {
	t.Parallel()
	store, err := profile.Open(filepath.Join(t.TempDir(), "profiles"))
	require.NoError(t, err)
	one, two := signer(t, "1"), signer(t, "2")
	size := func() int64 {
		p, err := store.Load("default")
		require.NoError(t, err)
		var known pinned
		found, err := p.Pinned(pinName(gateway), &known)
		require.NoError(t, err)
		require.True(t, found)
		c, err := auditlog.OpenCheckpoint(known.Checkpoint, known.VerifierKey)
		require.NoError(t, err)
		return c.Size
	}
	for _, step := range []struct {
		by         *auditlog.Signer
		size, want int64
		forget     bool
	}{{one, 7, 7, false}, {one, 9, 9, false}, {one, 8, 9, false}, {one, 8, 8, true}, {two, 6, 6, false}} {
		require.NoError(t, pin(t.Context(), store, "default", gateway, signed(t, step.by, step.size), step.size, step.forget))
		require.Equal(t, step.want, size())
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90m": now.Add(-90 * time.Minute), "2026-02-01T00:00:00Z": time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		"2026-02-01T00:00:00+02:00": time.Date(2026, 1, 31, 22, 0, 0, 0, time.UTC),
	} {
		got, err := moment("since", text, now)
		require.NoError(t, err)
		require.True(t, want.Equal(got.AsTime()), text)
	}
	got, err := moment("since", "", now)
	require.NoError(t, err)
	require.Nil(t, got)
	for _, text := range []string{"yesterday", "2026-02-01", "5"} {
		_, err := moment("since", text, now)
		require.Equal(t, exit.Usage, exit.Code(err), text)
		require.ErrorContains(t, err, "--since")
	}
}
