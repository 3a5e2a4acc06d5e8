package workload

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/authn"
)

// What proofs are refused is in the table of kernel/access.

func TestAProofSaysWhoAndForWhom(t *testing.T) {
	t.Parallel()
	key := NewClusterKey()
	shop, notes := NewTokens("shop", key), NewTokens("notes", key)
	ann := authn.Principal{Kind: authn.User, UserID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a", ExpiresAt: time.Now()}

	for name, test := range map[string]struct {
		ctx  context.Context
		want authn.Principal
	}{
		"by itself": {t.Context(), authn.Principal{Kind: authn.Service, ServiceName: "shop"}},
		"for a person": {authn.NewContext(t.Context(), ann), authn.Principal{Kind: authn.Service, ServiceName: "shop", OnBehalfOf: &authn.Principal{
			Kind: authn.User, UserID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a",
		}}},
		"for a person, through another service": {
			authn.NewContext(t.Context(), authn.Principal{Kind: authn.Service, ServiceName: "stock", OnBehalfOf: &ann}),
			authn.Principal{Kind: authn.Service, ServiceName: "shop", OnBehalfOf: &authn.Principal{
				Kind: authn.User, UserID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a",
			}},
		},
		"for a service": {
			authn.NewContext(t.Context(), authn.Principal{Kind: authn.Service, ServiceName: "stock"}), authn.Principal{Kind: authn.Service, ServiceName: "shop"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proof, err := shop.Prove(test.ctx, "notes")
			require.NoError(t, err)
			require.Less(t, len(proof), maxTokenBytes/2)
			got, err := notes.Verify(proof)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			_, err = shop.Verify(proof)
			require.ErrorIs(t, err, jwt.ErrTokenInvalidAudience)
		})
	}
}

func TestAProofIsShortLived(t *testing.T) {
	t.Parallel()
	tokens := NewTokens("shop", NewClusterKey())
	proof, err := tokens.Prove(t.Context(), "shop")
	require.NoError(t, err)
	var c claims
	_, _, err = jwt.NewParser().ParseUnverified(proof, &c)
	require.NoError(t, err)
	require.LessOrEqual(t, c.ExpiresAt.Sub(c.IssuedAt.Time), tokenLifetime)
	require.LessOrEqual(t, time.Until(c.ExpiresAt.Time), tokenLifetime)
}

func TestAProofWithoutAnIssuer(t *testing.T) {
	t.Parallel()
	tokens := NewTokens("", NewClusterKey())
	proof, err := tokens.Prove(t.Context(), "")
	require.NoError(t, err)
	_, err = tokens.Verify(proof)
	require.Error(t, err)
	_, err = tokens.Verify("")
	require.ErrorContains(t, err, "no proof")
	_, err = tokens.Verify(strings.Repeat("a", maxTokenBytes+1))
	require.ErrorContains(t, err, "too long")
}
