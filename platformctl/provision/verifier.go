package provision

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

const (
	// scramIterations is PostgreSQL's own default (scram_iterations). Passwords here are random, so that more would not
	// make them harder to find.
	scramIterations = 4096
	scramSaltBytes  = 16
)

// newPassword makes up a password of 128 bits or more, of letters and digits in ASCII, which SASLprep leaves as they are.
func newPassword() string { return rand.Text() }

// verifier is what PostgreSQL keeps of a password (RFC 5802, section 3, in the form of the column pg_authid.rolpassword):
// whoever sees it cannot log in with it. The password itself never goes to the server, where logs could show it.
func verifier(password string) (string, error) {
	salt := make([]byte, scramSaltBytes)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	return verifierOf(password, salt, scramIterations)
}

func verifierOf(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("compute what the server keeps of a password: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
