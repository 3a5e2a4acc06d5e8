// Package certificate holds the certificate with which a listener proves whose it is, and reads it anew from its files. It
// knows nothing of listeners.
package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"ashlar.dev/kernel/secretfile"
)

// maxBytes bounds a file with a certificate and those that it is signed with.
const maxBytes = 1 << 20

// Holder holds a certificate. It is safe for concurrent use.
type Holder struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	now               func() time.Time
}

// New returns a holder of what is in these files, which are in PEM; only the owner may be able to read that of the key.
// It holds nothing before Load.
func New(certFile, keyFile string) *Holder {
	return &Holder{certFile: certFile, keyFile: keyFile, now: time.Now}
}

// Load reads the files. Where they cannot be read or do not belong together, or where a certificate that has expired would
// replace another one, the one before stays. The error shows nothing of the key.
func (h *Holder) Load() (changed bool, err error) {
	next, err := h.read()
	if err != nil {
		return false, err
	}
	before := h.current.Load()
	if before != nil && slices.EqualFunc(before.Certificate, next.Certificate, bytes.Equal) {
		return false, nil
	}
	if before != nil && h.now().After(next.Leaf.NotAfter) {
		return false, fmt.Errorf("%s expired at %s", h.certFile, next.Leaf.NotAfter.Format(time.RFC3339))
	}
	h.current.Store(next)
	return true, nil
}

func (h *Holder) read() (*tls.Certificate, error) {
	certificate, err := readBounded(h.certFile)
	if err != nil {
		return nil, err
	}
	key, err := secretfile.Read(h.keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, []byte(key))
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", h.certFile, h.keyFile, err)
	}
	return &pair, nil
}

func readBounded(path string) (content []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err = io.ReadAll(io.LimitReader(file, maxBytes+1))
	if len(content) > maxBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxBytes)
	}
	return content, err
}

// Get is what tls.Config.GetCertificate asks for.
func (h *Holder) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if certificate := h.current.Load(); certificate != nil {
		return certificate, nil
	}
	return nil, errors.New("no certificate has been read")
}

// Expiry is when the certificate expires; zero before Load.
func (h *Holder) Expiry() time.Time {
	if leaf := h.leaf(); leaf != nil {
		return leaf.NotAfter
	}
	return time.Time{}
}

// Worry says why people will refuse the certificate, or will soon: less than a tenth of its time is left. It is nil where
// all is well, and before Load.
func (h *Holder) Worry() error {
	leaf, now := h.leaf(), h.now()
	switch {
	case leaf == nil:
		return nil
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate in %s expired at %s", h.certFile, leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate in %s is not valid before %s", h.certFile, leaf.NotBefore.Format(time.RFC3339))
	case leaf.NotAfter.Sub(now) < leaf.NotAfter.Sub(leaf.NotBefore)/10:
		return fmt.Errorf("the certificate in %s expires at %s", h.certFile, leaf.NotAfter.Format(time.RFC3339))
	default:
		return nil
	}
}

func (h *Holder) leaf() *x509.Certificate {
	if certificate := h.current.Load(); certificate != nil {
		return certificate.Leaf
	}
	return nil
}
