package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ashlar.dev/kernel/authn"
)

// peerKey is what peers verify tokens with: RS256, which costs them least, as they verify at each request. HAProxy does not
// know the gateway's Ed25519.
type peerKey struct {
	file          string // PEM of the public key
	token, forged string // forged: the same, signed by another key
}

// newPeerKey makes a key and writes its public half.
func newPeerKey(file string) (peerKey, error) {
	k := peerKey{file: file}
	private, token, err := newPeerToken()
	if err != nil {
		return k, err
	}
	k.token = token
	if _, k.forged, err = newPeerToken(); err != nil {
		return k, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return k, err
	}
	return k, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)
}

// newPeerToken returns a key, and a token with the claims of the gateway's that outlives the benchmark.
func newPeerToken() (*rsa.PrivateKey, string, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", err
	}
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, authn.Claims{SessionID: "ses_bench", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: "usr_bench",
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(24 * time.Hour)),
	}}).SignedString(private)
	return private, token, err
}
