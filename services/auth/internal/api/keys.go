package api

import (
	"context"
	"encoding/base64"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/services/auth/internal/keyring"
)

// Keys implements ashlar.auth.v1.KeyService.
type Keys struct{ ring *keyring.Ring }

// NewKeys returns the handler over a ring.
func NewKeys(ring *keyring.Ring) *Keys { return &Keys{ring} }

// GetJwks implements ashlar.auth.v1.KeyService. The members are those of RFC 8037, section 2.
func (h *Keys) GetJwks(ctx context.Context, _ *authv1.GetJwksRequest) (*authv1.GetJwksResponse, error) {
	keys, err := h.ring.Published(ctx)
	if err != nil {
		return nil, err
	}
	res := &authv1.GetJwksResponse{}
	for _, k := range keys {
		res.Keys = append(res.Keys, &authv1.Jwk{
			Kty: "OKP", Kid: k.ID, Use: "sig", Alg: "EdDSA", Crv: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Public),
		})
	}
	return res, nil
}

// RotateSigningKey implements ashlar.auth.v1.KeyService.
func (h *Keys) RotateSigningKey(ctx context.Context, _ *authv1.RotateSigningKeyRequest) (*authv1.RotateSigningKeyResponse, error) {
	kid, err := h.ring.Rotate(ctx)
	if err != nil {
		return nil, err
	}
	return &authv1.RotateSigningKeyResponse{Kid: kid}, nil
}
