package workload

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ashlar.dev/kernel/secretfile"
)

// keyBytes is the size of a cluster key and of the keys derived from it.
const keyBytes = 32

// ClusterKey is the secret that all services of one platform share. It is never used itself: each purpose has a key
// derived from it.
type ClusterKey struct{ secret []byte }

// NewClusterKey returns a random cluster key.
func NewClusterKey() ClusterKey {
	secret := make([]byte, keyBytes)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return ClusterKey{secret}
}

// CreateClusterKey makes a cluster key in a file that only its owner can read. It fails with fs.ErrExist where the
// file exists; a crash leaves either no file or a whole one.
func CreateClusterKey(path string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".cluster-key-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(base64.StdEncoding.EncodeToString(NewClusterKey().secret) + "\n")
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Link(temp.Name(), path)
}

// ReadClusterKey reads a cluster key from a file: 32 bytes in base64. It refuses a file that others can read.
func ReadClusterKey(path string) (ClusterKey, error) {
	hint := "make one with `openssl rand -base64 32`, mode 0600, the same for all services, and name it with ASHLAR_CLUSTER_KEY_FILE"
	text, err := secretfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ClusterKey{}, fmt.Errorf("cluster key: %w: %s", err, hint)
	}
	if err != nil {
		return ClusterKey{}, fmt.Errorf("cluster key: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != keyBytes {
		return ClusterKey{}, fmt.Errorf("cluster key: %s does not hold %d bytes in base64: %s", path, keyBytes, hint)
	}
	return ClusterKey{secret}, nil
}

// Fingerprint tells cluster keys apart, and nothing about them.
func (k ClusterKey) Fingerprint() string { return hex.EncodeToString(k.Derive("fingerprint")[:8]) }

// Derive returns the 32-byte key for a purpose (HKDF-SHA256, RFC 5869).
func (k ClusterKey) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "ashlar "+purpose, keyBytes)
	if err != nil {
		panic(err) // only a length over 8,160 bytes is refused
	}
	return key
}
