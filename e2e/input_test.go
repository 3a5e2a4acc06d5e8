package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

// tooMuch is more than one message may have: 4 MiB.
const tooMuch = 5 << 20

// broken returns bytes that are no message: neither JSON nor protobuf.
func broken(s speech) []byte {
	if s.json() {
		return []byte(`{"email": "bob@exam`)
	}
	return []byte{0x0a, 0xff}
}

// Bad input is refused with a code and a reason that a program can switch on, in the caller's protocol.
func TestBadInput(t *testing.T) {
	p := shared(t)
	somebody := newcomer(t, p.url())
	org := newOrganization(t, p.url(), p.admin(t))
	rename := &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: org, DisplayName: "Apex"},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	}
	for _, c := range []struct {
		name         string
		call         call
		broken       bool
		code, reason string
		metadata     map[string]string
	}{
		{
			name: "unknown service", call: call{procedure: "acme.nothing.v1.NothingService/Do", message: &authv1.WhoAmIRequest{}},
			code: "unimplemented", reason: "UNKNOWN_PROCEDURE",
		},
		{
			name: "unknown method", call: call{procedure: "ashlar.auth.v1.AuthService/Levitate", message: &authv1.WhoAmIRequest{}},
			code: "unimplemented", reason: "UNKNOWN_PROCEDURE",
		},
		{
			name: "internal method", call: call{
				procedure: "ashlar.audit.v1.IngestService/AppendEvents", token: somebody.token, message: &auditv1.AppendEventsRequest{},
			},
			code: "unimplemented", reason: "UNKNOWN_PROCEDURE",
		},
		{
			name: "manifest, which is for services", call: call{procedure: "ashlar.kernel.v1.ManifestService/GetManifest", message: &authv1.WhoAmIRequest{}},
			code: "unimplemented", reason: "UNKNOWN_PROCEDURE",
		},
		{name: "no message at all", call: call{procedure: login}, broken: true, code: "invalid_argument", reason: "INVALID_REQUEST"},
		{
			name: "too large", call: call{procedure: createOrganization, token: somebody.token, message: &identityv1.CreateOrganizationRequest{
				DisplayName: strings.Repeat("a", tooMuch),
			}},
			code: "resource_exhausted", reason: "MESSAGE_TOO_LARGE",
		},
		{
			name: "no token", call: call{procedure: listOrganizations, message: &identityv1.ListOrganizationsRequest{}},
			code: "unauthenticated", reason: "TOKEN_MISSING",
		},
		{
			name: "missing permission", call: call{procedure: updateOrganization, token: somebody.token, message: rename},
			code: "permission_denied", reason: "PERMISSION_DENIED",
			metadata: map[string]string{"permission": "identity.organization.update", "organization": org},
		},
		{
			name: "missing permission everywhere", call: call{procedure: queryEvents, token: somebody.token, message: &auditv1.QueryEventsRequest{}},
			code: "permission_denied", reason: "PERMISSION_DENIED",
			metadata: map[string]string{"permission": "audit.event.read"},
		},
		{
			name: "duplicate email", call: call{procedure: signUp, message: &authv1.SignUpRequest{
				Email: somebody.email, Password: password, DisplayName: "Somebody else",
			}},
			code: "already_exists", reason: "EMAIL_TAKEN",
		},
		{
			name: "wrong password", call: call{procedure: login, message: &authv1.LoginRequest{Email: somebody.email, Password: "wrong"}},
			code: "unauthenticated", reason: "INVALID_CREDENTIALS",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			everySpeech(t, func(t *testing.T, s speech) {
				c := c
				c.call.url = p.url()
				if c.broken {
					c.call.raw = broken(s)
				}
				a := s.send(t, c.call)
				assert.Equal(t, c.code, a.code, a)
				assert.Equal(t, c.reason, a.info().GetReason(), a)
				assert.NotEmpty(t, a.info().GetDomain(), a)
				assert.NotEmpty(t, a.text, a)
				for key, value := range c.metadata {
					assert.Equal(t, value, a.info().GetMetadata()[key], "metadata %s: %s", key, a)
				}
			})
		})
	}
}

// A request that fails validation is told which fields, in both forms: that of protovalidate and that of Google's APIs.
func TestFieldViolations(t *testing.T) {
	p := shared(t)
	everySpeech(t, func(t *testing.T, s speech) {
		a := s.send(t, call{url: p.url(), procedure: signUp, message: &authv1.SignUpRequest{Email: "no address", Password: "short", DisplayName: "Bob"}})
		assert.Equal(t, "invalid_argument", a.code, a)
		assert.Equal(t, "INVALID_REQUEST", a.info().GetReason(), a)
		var ours, google []string
		for _, detail := range a.details {
			switch d := detail.(type) {
			case *validate.Violations:
				for _, v := range d.GetViolations() {
					ours = append(ours, v.GetField().GetElements()[0].GetFieldName())
				}
			case *errdetails.BadRequest:
				for _, v := range d.GetFieldViolations() {
					google = append(google, v.GetField())
				}
			}
		}
		assert.ElementsMatch(t, []string{"email", "password"}, ours, a)
		assert.ElementsMatch(t, []string{"email", "password"}, google, a)
		assert.NotContains(t, a.text, "short", "the password is in the answer")
	})
}

// Nobody can tell an internal method from one that does not exist.
func TestInternalMethodsDoNotShow(t *testing.T) {
	p := shared(t)
	everySpeech(t, func(t *testing.T, s speech) {
		internal := s.send(t, call{url: p.url(), procedure: "ashlar.audit.v1.IngestService/AppendEvents", message: &auditv1.AppendEventsRequest{}})
		unknown := s.send(t, call{url: p.url(), procedure: "ashlar.audit.v1.IngestService/AppendNothing", message: &auditv1.AppendEventsRequest{}})
		assert.Equal(t, unknown.String(), internal.String())
	})
}

func TestBadTokens(t *testing.T) {
	p := shared(t)
	somebody := newcomer(t, p.url())
	kid, key := p.signingKey(t)
	_, otherKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)

	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		now := time.Now()
		c := jwt.MapClaims{
			"iss": "ashlar", "aud": []string{"ashlar"}, "sub": somebody.id, "sid": "ses_1", "jti": "1",
			"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}
		change(c)
		return c
	}
	nothing := func(jwt.MapClaims) {}
	sign := func(method jwt.SigningMethod, key any, typ string, c jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, c)
		token.Header["typ"], token.Header["kid"] = typ, kid
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return text
	}
	request := &identityv1.ListOrganizationsRequest{}
	ask := func(t *testing.T, s speech, token string) answer {
		return s.send(t, call{url: p.url(), procedure: listOrganizations, token: token, message: request})
	}
	// What the test signs is as good as what auth signs, so that below only what is said to be wrong is wrong.
	everySpeech(t, func(t *testing.T, s speech) {
		a := ask(t, s, sign(jwt.SigningMethodEdDSA, key, "at+jwt", claims(nothing)))
		assert.Empty(t, a.code, a)
	})

	parts := strings.Split(somebody.token, ".")
	for _, c := range []struct {
		name, token, reason string
	}{
		{"expired", sign(jwt.SigningMethodEdDSA, key, "at+jwt", claims(func(c jwt.MapClaims) {
			c["iat"], c["exp"] = time.Now().Add(-time.Hour).Unix(), time.Now().Add(-time.Minute).Unix()
		})), "TOKEN_EXPIRED"},
		{"wrong audience", sign(jwt.SigningMethodEdDSA, key, "at+jwt", claims(func(c jwt.MapClaims) { c["aud"] = "acme" })), "TOKEN_INVALID"},
		{"wrong issuer", sign(jwt.SigningMethodEdDSA, key, "at+jwt", claims(func(c jwt.MapClaims) { c["iss"] = "acme" })), "TOKEN_INVALID"},
		{"no expiry", sign(jwt.SigningMethodEdDSA, key, "at+jwt", claims(func(c jwt.MapClaims) { delete(c, "exp") })), "TOKEN_INVALID"},
		{"another type of token", sign(jwt.SigningMethodEdDSA, key, "JWT", claims(nothing)), "TOKEN_INVALID"},
		{"forged", sign(jwt.SigningMethodEdDSA, otherKey, "at+jwt", claims(nothing)), "TOKEN_INVALID"},
		{"alg none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "at+jwt", claims(nothing)), "TOKEN_INVALID"},
		{"public key as secret", sign(jwt.SigningMethodHS256, []byte(key.Public().(ed25519.PublicKey)), "at+jwt", claims(nothing)), "TOKEN_INVALID"},
		{"changed", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"usr_1"}`)) + "." + parts[2], "TOKEN_INVALID"},
		{"no token", "nonsense", "TOKEN_INVALID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			everySpeech(t, func(t *testing.T, s speech) {
				a := ask(t, s, c.token)
				assert.Equal(t, "unauthenticated", a.code, a)
				assert.Equal(t, c.reason, a.info().GetReason(), a)
			})
		})
	}
}

// A refused request leaves nothing behind.
func TestARefusedSignUpLeavesNothing(t *testing.T) {
	p := shared(t)
	email := strings.ToLower(rand.Text()) + "@example.com"
	a := speeches[0].send(t, call{url: p.url(), procedure: signUp, message: &authv1.SignUpRequest{Email: email, Password: "short", DisplayName: "Bob"}})
	require.Equal(t, "invalid_argument", a.code, a)
	invoke(t, p.url(), "", signUp, &authv1.SignUpRequest{Email: email, Password: password, DisplayName: "Bob"}, &authv1.SignUpResponse{})
	me := signIn(t, p.url(), email, password)
	assert.Equal(t, email, me.email)
}
