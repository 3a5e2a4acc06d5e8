package access_test

import (
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
	"ashlar.dev/kernel/access"
)

func TestRuleOf(t *testing.T) {
	t.Parallel()
	options := map[string]*optionsv1.Access{
		"Public": public, "Authenticated": authenticated, "Internal": internal, "Everywhere": everywhere,
		"Within": within("organization_id"), "Deep": within("note.deeper.note.organization_id"),
	}
	methods := service(t, options).Methods()
	for name, want := range map[string]access.Rule{
		"Public":        {Kind: access.Public},
		"Authenticated": {Kind: access.Authenticated},
		"Internal":      {Kind: access.Internal},
		"Everywhere":    {Kind: access.Permission, Permission: "notes.note.read"},
		"Within":        {Kind: access.Permission, Permission: "notes.note.read"},
		"Deep":          {Kind: access.Permission, Permission: "notes.note.read"},
	} {
		got, err := access.RuleOf(methods.ByName(pname(name)))
		require.NoError(t, err, name)
		require.Equal(t, want.Kind, got.Kind, name)
		require.Equal(t, want.Permission, got.Permission, name)
	}
}

func TestRulesThatMeanNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		option *optionsv1.Access
		says   string
	}{
		"no option":            {nil, "has no access rule"},
		"an empty one":         {&optionsv1.Access{}, "none of public, authenticated, permission, internal is set"},
		"public: false":        {&optionsv1.Access{Rule: &optionsv1.Access_Public{}}, "public is set to nothing"},
		"authenticated: false": {&optionsv1.Access{Rule: &optionsv1.Access_Authenticated{}}, "authenticated is set to nothing"},
		"internal: false":      {&optionsv1.Access{Rule: &optionsv1.Access_Internal{}}, "internal is set to nothing"},
		"an empty permission":  {&optionsv1.Access{Rule: &optionsv1.Access_Permission{}}, "permission is set to nothing"},
		"a field with public":  {&optionsv1.Access{Rule: public.GetRule(), OrganizationField: "organization_id"}, "organization_field means nothing with public"},
		"a field that is none": {within("team_id"), `has no single field "team_id"`},
		"a list":               {within("list"), `has no single field "list"`},
		"a number":             {within("number"), `"number" is no string`},
		"a message":            {within("note"), `"note" is no string`},
		"beyond a string":      {within("organization_id.x"), "organization_id is no message"},
		"a dot too many":       {within("note."), `has no single field ""`},
		"a field of a field":   {within("note.list"), `acme.notes.v1.Note has no single field "list"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := service(t, map[string]*optionsv1.Access{"GetNote": test.option}).Methods().Get(0)
			_, err := access.RuleOf(method)
			require.ErrorContains(t, err, "acme.notes.v1.NoteService.GetNote")
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestStreamsOfClientsHaveNoOrganization(t *testing.T) {
	t.Parallel()
	server := connect.NewServer()
	method := service(t, map[string]*optionsv1.Access{"NoteStream": within("organization_id")}).Methods().Get(0)
	server.Register(connect.Method{Spec: spec(method)})
	require.ErrorContains(t, access.NewRules(nil).Seal(server), "NoteService.NoteStream: access rule: organization_field needs one request")

	_, err := access.RuleOf(service(t, map[string]*optionsv1.Access{"NoteStream": everywhere}).Methods().Get(0))
	require.NoError(t, err, "without an organization they have a rule like any other")
}

func TestOrganization(t *testing.T) {
	t.Parallel()
	options := map[string]*optionsv1.Access{"Flat": within("organization_id"), "Deep": within("note.deeper.note.organization_id"), "Everywhere": everywhere}
	methods := service(t, options).Methods()
	for name, test := range map[string]struct {
		method string
		fields map[string]string
		want   string
	}{
		"there":             {"Flat", map[string]string{"organization_id": "org_a", "note.organization_id": "org_b"}, "org_a"},
		"not there":         {"Flat", map[string]string{"note.organization_id": "org_b"}, ""},
		"deep":              {"Deep", map[string]string{"organization_id": "org_a", "note.deeper.note.organization_id": "org_b"}, "org_b"},
		"deep, half-way":    {"Deep", map[string]string{"note.organization_id": "org_b"}, ""},
		"deep, nothing":     {"Deep", nil, ""},
		"nothing asked for": {"Everywhere", map[string]string{"organization_id": "org_a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := methods.ByName(pname(test.method))
			rule, err := access.RuleOf(method)
			require.NoError(t, err)
			require.Equal(t, test.want, rule.Organization(request(method, test.fields)))
		})
	}
}

func TestUnknownProceduresPermitNothing(t *testing.T) {
	t.Parallel()
	foreign := map[string]access.Rule{"/grpc.health.v1.Health/Check": {Kind: access.Public}}
	rules := access.NewRules(foreign)
	foreign["/acme.Late/Addition"] = access.Rule{Kind: access.Public}
	require.Equal(t, access.Public, rules.Of("/grpc.health.v1.Health/Check").Kind)
	require.Equal(t, access.None, rules.Of("/acme.Late/Addition").Kind)
	require.Equal(t, access.None, rules.Of("").Kind)
}

func TestSealNamesAll(t *testing.T) {
	t.Parallel()
	server := connect.NewServer()
	methods := service(t, map[string]*optionsv1.Access{"Good": public, "Bad": nil, "Worse": {}}).Methods()
	for i := range methods.Len() {
		server.Register(connect.Method{Spec: spec(methods.Get(i))})
	}
	err := access.NewRules(nil).Seal(server)
	require.ErrorContains(t, err, "NoteService.Bad has no access rule: add `option (ashlar.options.v1.access) = {…}`")
	require.ErrorContains(t, err, "NoteService.Worse: access rule: none of")
	require.NotContains(t, err.Error(), "Good")
}

func TestNamesOfKinds(t *testing.T) {
	t.Parallel()
	for kind, name := range map[access.Kind]string{
		access.None: "none", access.Public: "public", access.Authenticated: "authenticated", access.Permission: "permission", access.Internal: "internal", 99: "none",
	} {
		require.Equal(t, name, kind.String())
	}
}
