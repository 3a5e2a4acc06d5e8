package access_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/workload"
)

func pname(s string) protoreflect.Name { return protoreflect.Name(s) }

// gate is a server whose handlers note who came through.
type gate struct {
	client  *connect.Client
	methods protoreflect.MethodDescriptors
	through []authn.Principal

	mu      sync.Mutex
	asked   []string
	denials []access.Denial
	decide  func(user, permission, organization string) (bool, error)
}

func newGate(t *testing.T, options map[string]*optionsv1.Access, tokens access.TokenVerifier, workloads workload.Verifier) *gate {
	t.Helper()
	g := &gate{methods: service(t, options).Methods(), decide: func(string, string, string) (bool, error) { return false, nil }}
	rules := access.NewRules(nil)
	server := connect.NewServer(access.Authenticate(rules, tokens, workloads), access.Authorize(rules,
		access.DeciderFunc(func(_ context.Context, user, permission, organization string) (bool, error) {
			g.mu.Lock()
			g.asked = append(g.asked, user+" "+permission+" "+organization)
			g.mu.Unlock()
			return g.decide(user, permission, organization)
		}), func(_ context.Context, d access.Denial) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.denials = append(g.denials, d)
		}))
	for i := range g.methods.Len() {
		method := g.methods.Get(i)
		server.Register(connect.Method{Spec: spec(method), Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			for {
				received := dynamicpb.NewMessage(method.Input())
				if err := stream.Receive(received); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				g.mu.Lock()
				g.through = append(g.through, authn.FromContext(ctx))
				g.mu.Unlock()
				if err := stream.Send(received); err != nil || !method.IsStreamingClient() {
					return err
				}
			}
		}})
	}
	require.NoError(t, rules.Seal(server))
	g.client = connect.NewClient(connectinprocess.New(server))
	return g
}

func (g *gate) call(ctx context.Context, method string, header map[string]string, fields map[string]string) error {
	m := g.methods.ByName(pname(method))
	ctx, info := connect.NewClientContext(ctx)
	for key, value := range header {
		info.RequestHeader().Set(key, value)
	}
	return g.client.CallUnary(ctx, spec(m), request(m, fields), dynamicpb.NewMessage(m.Output()))
}

// oneKey is a source with one key, which may fail.
type oneKey struct {
	public ed25519.PublicKey
	err    error
}

func (k oneKey) Key(_ context.Context, kid string) (ed25519.PublicKey, error) {
	if k.err != nil {
		return nil, k.err
	}
	if kid != "k1" {
		return nil, authn.ErrUnknownKey
	}
	return k.public, nil
}

// Every kind of rule meets every kind of credential.
func TestRulesMeetCredentials(t *testing.T) {
	t.Parallel()
	public1, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	cluster, otherCluster := workload.NewClusterKey(), workload.NewClusterKey()
	now := time.Now()

	claims := func(change ...func(*authn.Claims)) authn.Claims {
		c := authn.Claims{SessionID: "ses_1", OrganizationID: "org_a", RegisteredClaims: jwt.RegisteredClaims{
			Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: "usr_ann",
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)),
		}}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	sign := func(method jwt.SigningMethod, key any, typ, kid string, c jwt.Claims) string {
		token := jwt.NewWithClaims(method, c)
		delete(token.Header, "typ")
		if typ != "" {
			token.Header["typ"] = typ
		}
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return "Bearer " + text
	}
	user := func(c authn.Claims) map[string]string {
		return map[string]string{"Authorization": sign(jwt.SigningMethodEdDSA, private, "at+jwt", "k1", c)}
	}
	bearer := func(text string) map[string]string { return map[string]string{"Authorization": text} }
	prove := func(key workload.ClusterKey, from, to string) string {
		proof, err := workload.NewTokens(from, key).Prove(context.Background(), to)
		require.NoError(t, err)
		return proof
	}
	proof := func(text string) map[string]string { return map[string]string{workload.Header: text} }
	good := sign(jwt.SigningMethodEdDSA, private, "at+jwt", "k1", claims())
	forgedProof := func(method jwt.SigningMethod, key any, typ string, lifetime time.Duration) map[string]string {
		text := sign(method, key, typ, "", jwt.RegisteredClaims{
			Issuer: "shop", Audience: jwt.ClaimStrings{"notes"}, IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
		})
		return proof(strings.TrimPrefix(text, "Bearer "))
	}

	const (
		missing, invalid, expired = rpcerror.ReasonTokenMissing, rpcerror.ReasonTokenInvalid, rpcerror.ReasonTokenExpired
		services                  = rpcerror.ReasonServicesOnly
	)
	for name, test := range map[string]struct {
		header map[string]string
		// What those get who call what asks for a person, and what is for services; empty: they come through.
		person, service string
	}{
		"nothing":                          {nil, missing, services},
		"an empty header":                  {bearer(""), missing, services},
		"another scheme":                   {bearer("Basic YW5uOmFubg=="), missing, services},
		"a scheme without a token":         {bearer("Bearer "), missing, services},
		"a token without a scheme":         {bearer(strings.TrimPrefix(good, "Bearer ")), missing, services},
		"garbage":                          {bearer("Bearer garbage"), invalid, services},
		"three parts of garbage":           {bearer("Bearer a.b.c"), invalid, services},
		"a very long token":                {bearer("Bearer " + strings.Repeat("a", 5000)), invalid, services},
		"a good token":                     {bearer(good), "", services},
		"a good token, scheme in capitals": {bearer("BEARER" + strings.TrimPrefix(good, "Bearer")), "", services},
		"expired":                          {user(claims(func(c *authn.Claims) { c.ExpiresAt = jwt.NewNumericDate(now.Add(-time.Minute)) })), expired, services},
		"without an end":                   {user(claims(func(c *authn.Claims) { c.ExpiresAt = nil })), invalid, services},
		"issued tomorrow":                  {user(claims(func(c *authn.Claims) { c.IssuedAt = jwt.NewNumericDate(now.Add(24 * time.Hour)) })), invalid, services},
		"not valid yet":                    {user(claims(func(c *authn.Claims) { c.NotBefore = jwt.NewNumericDate(now.Add(time.Hour)) })), invalid, services},
		"forged":                           {bearer(sign(jwt.SigningMethodEdDSA, stranger, "at+jwt", "k1", claims())), invalid, services},
		"changed":                          {bearer(good[:len(good)-4] + "AAAA"), invalid, services},
		"alg none":                         {bearer(sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "at+jwt", "k1", claims())), invalid, services},
		"HS256 with the public key":        {bearer(sign(jwt.SigningMethodHS256, []byte(public1), "at+jwt", "k1", claims())), invalid, services},
		"an unknown key":                   {bearer(sign(jwt.SigningMethodEdDSA, private, "at+jwt", "k2", claims())), invalid, services},
		"another audience":                 {user(claims(func(c *authn.Claims) { c.Audience = jwt.ClaimStrings{"elsewhere"} })), invalid, services},
		"no audience":                      {user(claims(func(c *authn.Claims) { c.Audience = nil })), invalid, services},
		"another issuer":                   {user(claims(func(c *authn.Claims) { c.Issuer = "elsewhere" })), invalid, services},
		"another typ":                      {bearer(sign(jwt.SigningMethodEdDSA, private, "JWT", "k1", claims())), invalid, services},
		"no typ":                           {bearer(sign(jwt.SigningMethodEdDSA, private, "", "k1", claims())), invalid, services},
		"nobody":                           {user(claims(func(c *authn.Claims) { c.Subject = "" })), invalid, services},
		"no session":                       {user(claims(func(c *authn.Claims) { c.SessionID = "" })), invalid, services},
		"a proof":                          {proof(prove(cluster, "shop", "notes")), missing, ""},
		"a proof as a token":               {bearer("Bearer " + prove(cluster, "shop", "notes")), invalid, services},
		"a token as a proof":               {proof(strings.TrimPrefix(good, "Bearer ")), missing, services},
		"a proof for another service":      {proof(prove(cluster, "shop", "stock")), missing, services},
		"a proof of another platform":      {proof(prove(otherCluster, "shop", "notes")), missing, services},
		"a proof with the cluster's key":   {forgedProof(jwt.SigningMethodHS256, cluster.Derive("another purpose"), "workload+jwt", time.Minute), missing, services},
		"a proof of another typ":           {forgedProof(jwt.SigningMethodHS256, cluster.Derive("workload token"), "at+jwt", time.Minute), missing, services},
		"an old proof":                     {forgedProof(jwt.SigningMethodHS256, cluster.Derive("workload token"), "workload+jwt", -time.Minute/2), missing, services},
		"a proof with alg none":            {forgedProof(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "workload+jwt", time.Minute), missing, services},
		"a proof signed by a person":       {forgedProof(jwt.SigningMethodEdDSA, private, "workload+jwt", time.Minute), missing, services},
		"a proof that is garbage":          {proof("garbage"), missing, services},
		"a very long proof":                {proof(strings.Repeat("a", 5000)), missing, services},
		"both":                             {map[string]string{"Authorization": good, workload.Header: prove(cluster, "shop", "notes")}, "", ""},
		// Headers that claim who somebody is count for nothing.
		"claims": {map[string]string{"X-User-Id": "usr_ann", "X-Forwarded-User": "usr_ann"}, missing, services},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, map[string]*optionsv1.Access{
				"Public": public, "Authenticated": authenticated, "Permission": everywhere, "Internal": internal,
			}, authn.NewVerifier(oneKey{public: public1}), workload.NewTokens("notes", cluster))
			g.decide = func(string, string, string) (bool, error) { return true, nil }

			require.NoError(t, g.call(t.Context(), "Public", test.header, nil))
			require.Equal(t, []authn.Principal{{}}, g.through, "to a public method everybody is anonymous")
			for _, method := range []string{"Authenticated", "Permission"} {
				g.through = nil
				requireReason(t, g.call(t.Context(), method, test.header, nil), connect.CodeUnauthenticated, test.person)
				if test.person == "" {
					require.Len(t, g.through, 1)
					require.Equal(t, authn.User, g.through[0].Kind)
					require.Equal(t, "usr_ann", g.through[0].UserID)
					require.Equal(t, "ses_1", g.through[0].SessionID)
					require.Equal(t, "org_a", g.through[0].OrganizationID)
				} else {
					require.Empty(t, g.through)
				}
			}
			g.through = nil
			requireReason(t, g.call(t.Context(), "Internal", test.header, nil), connect.CodePermissionDenied, test.service)
			if test.service == "" {
				require.Equal(t, []authn.Principal{{Kind: authn.Service, ServiceName: "shop"}}, g.through)
			} else {
				require.Empty(t, g.through)
			}
			if test.person != "" {
				require.Empty(t, g.asked, "who is not known is not asked about")
			}
		})
	}
}

func requireReason(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err)
		return
	}
	require.Equal(t, code, connect.CodeOf(err), "%v", err)
	require.Equal(t, reason, rpcerror.Reason(err), "%v", err)
}

// anybody takes every token for the name of a user.
type anybody struct{}

func (anybody) Verify(_ context.Context, token string) (authn.Principal, error) {
	return authn.Principal{Kind: authn.User, UserID: token}, nil
}

func as(user string) map[string]string { return map[string]string{"Authorization": "Bearer " + user} }

func TestKeysThatCannotBeHad(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	token, err := authn.Sign(authn.Claims{}, "k1", private)
	require.NoError(t, err)
	g := newGate(t, map[string]*optionsv1.Access{"Get": authenticated}, authn.NewVerifier(oneKey{err: errors.New("auth is down")}), nil)
	err = g.call(t.Context(), "Get", as(token), nil)
	requireReason(t, err, connect.CodeUnavailable, rpcerror.ReasonKeysUnavailable)
	require.NotContains(t, err.Error(), "auth is down")
}

func TestPermission(t *testing.T) {
	t.Parallel()
	options := map[string]*optionsv1.Access{"Everywhere": everywhere, "Within": within("organization_id"), "Deep": within("note.organization_id")}
	for name, test := range map[string]struct {
		method  string
		fields  map[string]string
		asks    string
		message string
	}{
		"everywhere":          {"Everywhere", map[string]string{"organization_id": "org_a"}, "ann notes.note.read ", "permission notes.note.read is needed everywhere"},
		"in an organization":  {"Within", map[string]string{"organization_id": "org_a"}, "ann notes.note.read org_a", "permission notes.note.read is needed in organization org_a"},
		"in none":             {"Within", nil, "ann notes.note.read ", "permission notes.note.read is needed everywhere"},
		"in a nested one":     {"Deep", map[string]string{"organization_id": "org_b", "note.organization_id": "org_a"}, "ann notes.note.read org_a", "in organization org_a"},
		"in none that nested": {"Deep", map[string]string{"organization_id": "org_b"}, "ann notes.note.read ", "everywhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, options, anybody{}, nil)
			err := g.call(t.Context(), test.method, as("ann"), test.fields)
			requireReason(t, err, connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied)
			require.ErrorContains(t, err, test.message)
			require.Equal(t, []string{test.asks}, g.asked)
			organization := strings.Fields(test.asks + " -")[2]
			want := access.Denial{Procedure: "/acme.notes.v1.NoteService/" + test.method, Permission: "notes.note.read"}
			if organization != "-" {
				want.Organization = organization
				require.Equal(t, organization, rpcerror.Info(err).GetMetadata()["organization"])
			}
			require.Equal(t, []access.Denial{want}, g.denials)
			require.Equal(t, "notes.note.read", rpcerror.Info(err).GetMetadata()["permission"])
			require.Empty(t, g.through)

			g.decide = func(string, string, string) (bool, error) { return true, nil }
			require.NoError(t, g.call(t.Context(), test.method, as("ann"), test.fields))
			require.Len(t, g.through, 1)
			require.Len(t, g.denials, 1, "no more than the one before")
		})
	}
}

func TestADecisionThatCannotBeHad(t *testing.T) {
	t.Parallel()
	g := newGate(t, map[string]*optionsv1.Access{"Everywhere": everywhere, "Within": within("organization_id")}, anybody{}, nil)
	g.decide = func(string, string, string) (bool, error) {
		// A peer's refusal is no decision either.
		return true, rpcerror.New(connect.CodePermissionDenied, "X", "authz says hunter2")
	}
	for _, method := range []string{"Everywhere", "Within"} {
		err := g.call(t.Context(), method, as("ann"), nil)
		requireReason(t, err, connect.CodeUnavailable, rpcerror.ReasonPolicyUnavailable)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.Empty(t, g.through)
	require.Empty(t, g.denials)
}

// What cannot be an id is refused before anybody is asked about it.
func TestOrganizationsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		organization string
		refused      bool
	}{
		"as long as may be":  {strings.Repeat("a", 64), false},
		"longer":             {strings.Repeat("a", 65), true},
		"a control":          {"org_\x00", true},
		"a line":             {"org_a\n", true},
		"an umlaut":          {"org_ä", true},
		"delete":             {"org_\x7f", true},
		"the last printable": {"org_~ ", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, map[string]*optionsv1.Access{"Deep": within("note.organization_id")}, anybody{}, nil)
			g.decide = func(string, string, string) (bool, error) { return true, nil }
			err := g.call(t.Context(), "Deep", as("ann"), map[string]string{"note.organization_id": test.organization})
			if !test.refused {
				require.NoError(t, err)
				return
			}
			requireReason(t, err, connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest)
			require.ErrorContains(t, err, "note.organization_id must")
			require.Empty(t, g.asked)
			require.Empty(t, g.denials)
			require.Empty(t, g.through)
		})
	}
}

// A handler that answers before it has the request would answer before the check.
func TestNobodyAnswersBeforeTheCheck(t *testing.T) {
	t.Parallel()
	methods := service(t, map[string]*optionsv1.Access{"Get": within("organization_id"), "Open": within("organization_id")}).Methods()
	rules := access.NewRules(nil)
	server := connect.NewServer(access.Authenticate(rules, anybody{}, nil), access.Authorize(rules,
		access.DeciderFunc(func(context.Context, string, string, string) (bool, error) { return false, nil }),
		func(context.Context, access.Denial) {}))
	refused := make(chan error, 2)
	get, open := methods.ByName("Get"), methods.ByName("Open")
	server.Register(
		connect.Method{Spec: spec(get), Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			err := stream.Send(dynamicpb.NewMessage(get.Output()))
			refused <- err
			return err
		}},
		connect.Method{Spec: spec(open), Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			err := stream.SendHeaders()
			refused <- err
			return err
		}},
	)
	require.NoError(t, rules.Seal(server))
	client := connect.NewClient(connectinprocess.New(server))
	for _, method := range []protoreflect.MethodDescriptor{get, open} {
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Authorization", "Bearer ann")
		require.Error(t, client.CallUnary(ctx, spec(method), request(method, nil), dynamicpb.NewMessage(method.Output())))
		require.ErrorContains(t, <-refused, "before it has received the request")
	}
}
