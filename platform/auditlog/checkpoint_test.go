package auditlog_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/platform/auditlog"
)

func signer(t testing.TB, origin string, seed byte) *auditlog.Signer {
	t.Helper()
	s, err := auditlog.NewSigner(origin, ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(seed), ed25519.SeedSize))))
	require.NoError(t, err)
	return s
}

func TestACheckpointIsASignedNote(t *testing.T) {
	t.Parallel()
	s := signer(t, "example.com/audit", 'a')
	text, err := s.Sign(7, tlog.Hash{1, 2, 3})
	require.NoError(t, err)
	body, signature, found := strings.Cut(text, "\n\n")
	require.True(t, found)
	require.Equal(t, "example.com/audit\n7\n"+base64.StdEncoding.EncodeToString(append([]byte{1, 2, 3}, make([]byte, 29)...)), body)
	require.True(t, strings.HasPrefix(signature, "— example.com/audit "), signature)

	// The library's own verifier takes the key and the note.
	verifier, err := note.NewVerifier(s.VerifierKey())
	require.NoError(t, err)
	_, err = note.Open([]byte(text), note.VerifierList(verifier))
	require.NoError(t, err)

	c, err := auditlog.OpenCheckpoint(text, s.VerifierKey())
	require.NoError(t, err)
	require.Equal(t, auditlog.Checkpoint{Origin: "example.com/audit", Size: 7, Root: tlog.Hash{1, 2, 3}}, c)
	own, err := s.Open(text)
	require.NoError(t, err)
	require.Equal(t, c, own)
}

func TestWhatIsNotSignedIsRefused(t *testing.T) {
	t.Parallel()
	s, other, renamed := signer(t, "example.com/audit", 'a'), signer(t, "example.com/audit", 'b'), signer(t, "example.com/other", 'a')
	text, err := s.Sign(7, tlog.Hash{1})
	require.NoError(t, err)
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		_, err := auditlog.OpenCheckpoint(string(changed), s.VerifierKey())
		require.Error(t, err, "byte %d", i)
	}
	for name, key := range map[string]string{
		"another key": other.VerifierKey(), "another log": renamed.VerifierKey(), "no key": "example.com/audit+00000000+AAAA", "nothing": "",
	} {
		_, err := auditlog.OpenCheckpoint(text, key)
		require.ErrorIs(t, err, auditlog.ErrSignature, name)
	}
}

// A log's key may have signed other things than checkpoints.
func TestWhatIsSignedAndNoCheckpoint(t *testing.T) {
	t.Parallel()
	private, public, err := note.GenerateKey(zeros{}, "example.com/audit")
	require.NoError(t, err)
	s, err := note.NewSigner(private)
	require.NoError(t, err)
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, test := range map[string]struct {
		body string
		ok   bool
	}{
		"a checkpoint":           {"example.com/audit\n7\n" + root + "\n", true},
		"with another line":      {"example.com/audit\n7\n" + root + "\nanother line\n", true},
		"of another log":         {"example.com/other\n7\n" + root + "\n", false},
		"without a hash":         {"example.com/audit\n7\n", false},
		"with a short hash":      {"example.com/audit\n7\nAAAA\n", false},
		"with a strange hash":    {"example.com/audit\n7\n" + strings.Replace(root, "A=", "B=", 1) + "\n", false},
		"with a negative size":   {"example.com/audit\n-7\n" + root + "\n", false},
		"with zeros before":      {"example.com/audit\n07\n" + root + "\n", false},
		"with a plus":            {"example.com/audit\n+7\n" + root + "\n", false},
		"with too large a size":  {"example.com/audit\n9223372036854775808\n" + root + "\n", false},
		"empty, another's hash":  {"example.com/audit\n0\n" + root + "\n", false},
		"without an origin":      {"\n7\n" + root + "\n", false},
		"with a word for a size": {"example.com/audit\nseven\n" + root + "\n", false},
	} {
		signed, err := note.Sign(&note.Note{Text: test.body}, s)
		require.NoError(t, err, name)
		_, err = auditlog.OpenCheckpoint(string(signed), public)
		if test.ok {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, auditlog.ErrCheckpoint, name)
		}
	}
	_, err = auditlog.OpenCheckpoint(strings.Repeat("x", auditlog.MaxCheckpointBytes+1), public)
	require.ErrorIs(t, err, auditlog.ErrCheckpoint)
}

// zeros is a source of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestOrigins(t *testing.T) {
	t.Parallel()
	for origin, ok := range map[string]bool{
		"ashlar/audit": true, "example.com/audit": true, "日本": true,
		"": false, "two words": false, "a+b": false, "a\nb": false, "a\x1bb": false, "\xff": false, strings.Repeat("x", 256): false,
	} {
		require.Equal(t, ok, auditlog.CheckOrigin(origin) == nil, "%q", origin)
	}
	_, err := auditlog.NewSigner("two words", make(ed25519.PrivateKey, ed25519.PrivateKeySize))
	require.Error(t, err)
}

func FuzzOpenCheckpoint(f *testing.F) {
	s := signer(f, "example.com/audit", 'a')
	text, err := s.Sign(7, tlog.Hash{1})
	require.NoError(f, err)
	f.Add(text)
	f.Add("")
	f.Fuzz(func(t *testing.T, changed string) {
		c, err := s.Open(changed)
		if err == nil {
			require.Equal(t, int64(7), c.Size, "nothing else was signed")
		}
	})
}
