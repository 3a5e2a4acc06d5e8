package limit

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ashlar.dev/gateway/internal/certificate/certificatetest"
	"ashlar.dev/gateway/internal/limit/redistest"
	"ashlar.dev/kernel/leaktest"
)

// trusted is what servers show that this machine trusts.
var trusted *redistest.TLS

func TestMain(m *testing.M) { leaktest.Main(trusting{m}) }

// trusting runs the tests on a machine that trusts a certificate of its own.
type trusting struct{ *testing.M }

// Run implements goleak.TestingM.
func (t trusting) Run() int {
	dir, err := os.MkdirTemp("", "")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		trusted, err = newTLS(dir)
	}
	if err == nil {
		err = os.Setenv("SSL_CERT_FILE", trusted.CertFile) // the system's roots, which are read once
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return t.M.Run()
}

// newTLS makes a certificate in a folder.
func newTLS(dir string) (*redistest.TLS, error) {
	secret := &redistest.TLS{CertFile: filepath.Join(dir, "certificate.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	now := time.Now()
	certificate, key, err := certificatetest.Make(now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(secret.CertFile, []byte(certificate), 0o600); err != nil {
		return nil, err
	}
	return secret, os.WriteFile(secret.KeyFile, []byte(key), 0o600)
}
