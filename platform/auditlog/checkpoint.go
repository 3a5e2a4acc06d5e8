package auditlog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpointBytes bounds a checkpoint that is read, with the signatures of others that it may carry.
const MaxCheckpointBytes = 64 << 10

// maxOriginBytes bounds the name of a log.
const maxOriginBytes = 255

var (
	// ErrSignature says that a checkpoint is not signed with the key that it was verified with.
	ErrSignature = errors.New("the checkpoint is not signed with the log's key")
	// ErrCheckpoint says that what was signed is no checkpoint.
	ErrCheckpoint = errors.New("this is no checkpoint")

	emptyRoot = tlog.Hash(sha256.Sum256(nil))
)

// Checkpoint says what a log is at some moment.
type Checkpoint struct {
	// Origin is the name of the log, and of the key that signs.
	Origin string
	// Size is the number of leaves.
	Size int64
	Root tlog.Hash
}

// CheckOrigin returns why a log cannot have this name: it goes into signed notes, where a name has neither spaces nor `+`.
func CheckOrigin(origin string) error {
	switch {
	case origin == "":
		return errors.New("the origin of the audit log is empty")
	case len(origin) > maxOriginBytes:
		return fmt.Errorf("the origin of the audit log has %d bytes, more than %d", len(origin), maxOriginBytes)
	case !utf8.ValidString(origin) || strings.ContainsFunc(origin, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '+' }):
		return fmt.Errorf("the origin of the audit log is %q: it may have no spaces, no control characters and no +, like example.com/audit", origin)
	}
	return nil
}

// Signer signs the checkpoints of one log.
type Signer struct {
	verifier note.Verifier
	text     string
	key      ed25519.PrivateKey
}

// NewSigner returns the signer of the log of this name.
func NewSigner(origin string, key ed25519.PrivateKey) (*Signer, error) {
	if err := CheckOrigin(origin); err != nil {
		return nil, err
	}
	public, _ := key.Public().(ed25519.PublicKey)
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return nil, err
	}
	return &Signer{verifier, text, key}, nil
}

// VerifierKey is the key that others verify with, as text (c2sp.org/signed-note).
func (s *Signer) VerifierKey() string { return s.text }

// Origin is the name of the log.
func (s *Signer) Origin() string { return s.verifier.Name() }

// Sign returns a checkpoint of the log as a signed note.
func (s *Signer) Sign(size int64, root tlog.Hash) (string, error) {
	body := fmt.Sprintf("%s\n%d\n%s\n", s.Origin(), size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: body}, noteSigner{s.verifier, s.key})
	if err != nil {
		return "", fmt.Errorf("sign a checkpoint: %w", err)
	}
	return string(signed), nil
}

// Open is OpenCheckpoint with the signer's own key.
func (s *Signer) Open(text string) (Checkpoint, error) { return open(text, s.verifier) }

// noteSigner implements note.Signer; the package's own takes private keys as text only.
type noteSigner struct {
	note.Verifier

	key ed25519.PrivateKey
}

// Sign implements note.Signer.
func (s noteSigner) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// OpenCheckpoint returns what a signed checkpoint says, if it is signed with this key (the text that VerifierKey gives)
// and is about the log that the key is named for. It fails with ErrSignature or ErrCheckpoint.
func OpenCheckpoint(text, verifierKey string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %q is no verifier key", ErrSignature, verifierKey)
	}
	return open(text, verifier)
}

func open(text string, verifier note.Verifier) (Checkpoint, error) {
	if len(text) > MaxCheckpointBytes {
		return Checkpoint{}, fmt.Errorf("%w: it has %d bytes", ErrCheckpoint, len(text))
	}
	signed, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	c, err := parse(signed.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != verifier.Name() {
		return Checkpoint{}, fmt.Errorf("%w of %q: it is about %q", ErrCheckpoint, verifier.Name(), c.Origin)
	}
	return c, nil
}

// parse reads the text that is signed: three lines, and lines that we do not know.
func parse(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("%w: it has too few lines", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("%w: its second line is no number of leaves", ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("%w: its third line is no hash", ErrCheckpoint)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}
	if size == 0 && c.Root != emptyRoot {
		return Checkpoint{}, fmt.Errorf("%w: its hash is not that of an empty log", ErrCheckpoint)
	}
	return c, nil
}
