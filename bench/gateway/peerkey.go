package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ashlar.dev/kernel/authn"
)

// peerKey is what peers verify tokens with: RS256, which is the cheapest to verify. HAProxy does not know the gateway's Ed25519.
type peerKey struct {
	file  string // PEM of the public key
	token string
	bad   map[string]string // tokens that no peer may take, by what is wrong with them
}

// newPeerKey makes a key and writes its public half.
func newPeerKey(file string) (peerKey, error) {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return peerKey{}, err
		}
	}
	k := peerKey{file: file, bad: map[string]string{}}
	expiry := time.Now().Add(24 * time.Hour) // later than the benchmark ends
	var err error
	sign := func(key *rsa.PrivateKey, issuer, audience string, expires time.Time) string {
		token, signErr := jwt.NewWithClaims(jwt.SigningMethodRS256, authn.Claims{SessionID: "ses_bench", RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: "usr_bench",
			IssuedAt: jwt.NewNumericDate(expires.Add(-24 * time.Hour)), ExpiresAt: jwt.NewNumericDate(expires),
		}}).SignedString(key)
		err = errors.Join(err, signErr)
		return token
	}
	k.token = sign(keys[0], authn.Issuer, authn.Audience, expiry)
	k.bad["signed by another key"] = sign(keys[1], authn.Issuer, authn.Audience, expiry)
	k.bad["of another issuer"] = sign(keys[0], "somebody", authn.Audience, expiry)
	k.bad["for another audience"] = sign(keys[0], authn.Issuer, "somebody", expiry)
	k.bad["that has expired"] = sign(keys[0], authn.Issuer, authn.Audience, time.Now().Add(-time.Hour))
	public, keyErr := x509.MarshalPKIXPublicKey(keys[0].Public())
	if err := errors.Join(err, keyErr); err != nil {
		return k, err
	}
	return k, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)
}
