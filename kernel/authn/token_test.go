package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/rpcerror"
)

// What tokens are refused is in the table of kernel/access; here is what a verifier remembers.

// countingKeys counts how often it is asked.
type countingKeys struct {
	public ed25519.PublicKey
	asked  int
	err    error
}

func (k *countingKeys) Key(context.Context, string) (ed25519.PublicKey, error) {
	k.asked++
	return k.public, k.err
}

func newTestVerifier(t *testing.T) (*Verifier, *countingKeys, ed25519.PrivateKey, *time.Time) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := &countingKeys{public: public}
	v := NewVerifier(keys)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v.now = func() time.Time { return now }
	return v, keys, private, &now
}

func tokenFor(t *testing.T, key ed25519.PrivateKey, subject string, issued, expires time.Time) string {
	t.Helper()
	token, err := Sign(Claims{SessionID: "ses_1", OrganizationID: "org_a", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: subject,
		IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(expires),
	}}, "k1", key)
	require.NoError(t, err)
	return token
}

func TestAVerifiedTokenIsRemembered(t *testing.T) {
	t.Parallel()
	v, keys, private, now := newTestVerifier(t)
	token := tokenFor(t, private, "usr_ann", *now, now.Add(5*time.Minute))
	want := Principal{Kind: User, UserID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a", ExpiresAt: now.Add(5 * time.Minute)}
	for range 3 {
		got, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.True(t, want.ExpiresAt.Equal(got.ExpiresAt))
		got.ExpiresAt = want.ExpiresAt
		require.Equal(t, want, got)
	}
	require.Equal(t, 1, keys.asked)

	other, err := v.Verify(t.Context(), tokenFor(t, private, "usr_bob", *now, now.Add(time.Minute)))
	require.NoError(t, err)
	require.Equal(t, "usr_bob", other.UserID)
}

// A key that is withdrawn is out of use soon, however long its tokens say that they are good.
func TestAVerificationIsNotRememberedForLong(t *testing.T) {
	t.Parallel()
	v, keys, private, now := newTestVerifier(t)
	token := tokenFor(t, private, "usr_ann", *now, now.Add(MaxLifetime))
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	keys.public, keys.err = nil, ErrUnknownKey
	*now = now.Add(rememberedFor - time.Millisecond)
	_, err = v.Verify(t.Context(), token)
	require.NoError(t, err)
	*now = now.Add(time.Millisecond)
	_, err = v.Verify(t.Context(), token)
	require.Equal(t, rpcerror.ReasonTokenInvalid, rpcerror.Reason(err))
	require.Equal(t, 2, keys.asked)
}

func TestTokensThatWouldLastTooLong(t *testing.T) {
	t.Parallel()
	v, _, private, now := newTestVerifier(t)
	_, err := v.Verify(t.Context(), tokenFor(t, private, "usr_ann", *now, now.Add(MaxLifetime)))
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), tokenFor(t, private, "usr_ann", *now, now.Add(MaxLifetime+time.Second)))
	require.Equal(t, rpcerror.ReasonTokenInvalid, rpcerror.Reason(err))
	undated, err := Sign(Claims{SessionID: "ses_1", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: "usr_ann", ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	}}, "k1", private)
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), undated)
	require.Equal(t, rpcerror.ReasonTokenInvalid, rpcerror.Reason(err))
}

// The cache must not let a token live longer than the parser would.
func TestARememberedTokenExpires(t *testing.T) {
	t.Parallel()
	for name, warm := range map[string]bool{"remembered": true, "not seen before": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, _, private, now := newTestVerifier(t)
			expires := now.Add(5 * time.Minute)
			token := tokenFor(t, private, "usr_ann", *now, expires)
			if warm {
				_, err := v.Verify(t.Context(), token)
				require.NoError(t, err)
			}
			for _, step := range []struct {
				at   time.Time
				good bool
			}{
				{expires.Add(-time.Second), true},
				{expires.Add(leeway - time.Millisecond), true},
				{expires.Add(leeway), false},
				{expires.Add(leeway), false}, // also once it is out of the cache
				{expires.Add(time.Hour), false},
			} {
				if !warm {
					v.cache.Purge()
				}
				*now = step.at
				_, err := v.Verify(t.Context(), token)
				if step.good {
					require.NoError(t, err, "%s", step.at)
					continue
				}
				require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), "%s", step.at)
				require.Equal(t, rpcerror.ReasonTokenExpired, rpcerror.Reason(err), "%s", step.at)
			}
		})
	}
}

func TestWhatIsRefusedIsNotRemembered(t *testing.T) {
	t.Parallel()
	v, keys, private, now := newTestVerifier(t)
	token := tokenFor(t, private, "usr_ann", *now, now.Add(5*time.Minute))

	keys.err = errors.New("auth is down")
	_, err := v.Verify(t.Context(), token)
	require.Equal(t, rpcerror.ReasonKeysUnavailable, rpcerror.Reason(err))
	require.ErrorIs(t, err, keys.err, "the cause is there for logs")

	keys.err = ErrUnknownKey
	_, err = v.Verify(t.Context(), token)
	require.Equal(t, rpcerror.ReasonTokenInvalid, rpcerror.Reason(err))

	keys.err = nil
	_, err = v.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, 3, keys.asked)

	forged := token[:len(token)-6] + "AAAAAA"
	for range 2 {
		_, err = v.Verify(t.Context(), forged)
		require.Equal(t, rpcerror.ReasonTokenInvalid, rpcerror.Reason(err))
	}
	require.Equal(t, 1, v.cache.Len())
}

func TestActor(t *testing.T) {
	t.Parallel()
	ann := Principal{Kind: User, UserID: "usr_ann"}
	require.Equal(t, ann, ann.Actor())
	require.Equal(t, ann, Principal{Kind: Service, ServiceName: "shop", OnBehalfOf: &ann}.Actor())
	require.Equal(t, Principal{Kind: Service, ServiceName: "shop"}, Principal{Kind: Service, ServiceName: "shop"}.Actor())
	require.Equal(t, Principal{}, FromContext(t.Context()))
	require.Equal(t, ann, FromContext(NewContext(t.Context(), ann)))
}

func FuzzVerify(f *testing.F) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	v := NewVerifier(&countingKeys{public: public})
	good, err := Sign(Claims{SessionID: "ses_1", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: "usr_ann",
		IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(MaxLifetime)),
	}}, "k1", private)
	require.NoError(f, err)
	f.Add(good)
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), token)
		if err == nil {
			require.Equal(t, "usr_ann", p.UserID, "only what was signed is accepted")
		} else {
			require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
		}
	})
}
