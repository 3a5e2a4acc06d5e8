package manifest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/manifest"
)

const good = `name: notes
version: 1.0.0
description: Notes with sharing
services: [acme.notes.v1.NoteService]
dependsOn: [identity, authz]
database: {schema: notes}
permissions:
  - {id: notes.note.read, description: Read notes}
  - {id: notes.note.write, description: Change notes}
roles:
  - {name: notes.editor, description: Works with notes, permissions: [notes.note.*]}
gateway:
  expose: true
  timeout: 5s
  rateLimit: {requests: 50, per: 1s, burst: 100}
  aliases: {/.well-known/notes.json: /acme.notes.v1.NoteService/GetNote}
`

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse([]byte(good))
	require.NoError(t, err)
	require.Equal(t, &manifest.Manifest{
		Name: "notes", Version: "1.0.0", Description: "Notes with sharing", Services: []string{"acme.notes.v1.NoteService"},
		DependsOn: []string{"identity", "authz"}, Database: manifest.Database{Schema: "notes"},
		Permissions: []manifest.Permission{{ID: "notes.note.read", Description: "Read notes"}, {ID: "notes.note.write", Description: "Change notes"}},
		Roles:       []manifest.Role{{Name: "notes.editor", Description: "Works with notes", Permissions: []string{"notes.note.*"}}},
		Gateway: manifest.Gateway{
			Expose: true, Timeout: 5 * time.Second, RateLimit: &manifest.RateLimit{Requests: 50, Per: time.Second, Burst: 100},
			Aliases: map[string]string{"/.well-known/notes.json": "/acme.notes.v1.NoteService/GetNote"},
		},
	}, m)

	p := m.Proto()
	require.Equal(t, "notes", p.GetName())
	require.Equal(t, []string{"identity", "authz"}, p.GetDependsOn())
	require.Equal(t, "Read notes", p.GetPermissions()[0].GetDescription())
	require.Equal(t, []string{"notes.note.*"}, p.GetRoles()[0].GetPermissions())
	require.True(t, p.GetGateway().GetExpose())
	require.Equal(t, 5*time.Second, p.GetGateway().GetTimeout().AsDuration())
	require.EqualValues(t, 100, p.GetGateway().GetRateLimit().GetBurst())
	require.Len(t, p.GetGateway().GetAliases(), 1)
}

func TestTheLeastThatIsNeeded(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse([]byte("name: a\nversion: 0.0.1\n"))
	require.NoError(t, err)
	require.Nil(t, m.Proto().GetGateway().GetTimeout())
	require.Nil(t, m.Proto().GetGateway().GetRateLimit())
	require.False(t, m.Proto().GetGateway().GetExpose(), "nothing is exposed that does not ask for it")
}

// Bad files: each is the good one with a line in the place of another. The error says where, or what.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ from, to, says string }{
		"no name":                          {"name: notes", "", `name ""`},
		"a name in capitals":               {"name: notes", "name: Notes", `name "Notes"`},
		"a name with a dash":               {"name: notes", "name: my-notes", `name "my-notes"`},
		"a long name":                      {"name: notes", "name: " + strings.Repeat("n", 41), `want lower-case letters`},
		"no version":                       {"version: 1.0.0", "", `version ""`},
		"half a version":                   {"version: 1.0.0", "version: v1", `version "v1"`},
		"an unknown key":                   {"database:", "databse:", "[6:"},
		"an unknown key inside":            {"expose: true", "exposed: true", "[13:"},
		"a key that is there twice":        {"version: 1.0.0", "name: notes", "[2:"},
		"a list for a word":                {"version: 1.0.0", "version: [1]", "[2:"},
		"a bad duration":                   {"timeout: 5s", "timeout: soon", "soon"},
		"a negative duration":              {"timeout: 5s", "timeout: -5s", "gateway.timeout -5s is negative"},
		"broken YAML":                      {"services: [acme.notes.v1.NoteService]", "services: [acme", "[5:"},
		"a service that is no name":        {"acme.notes.v1.NoteService]", "acme..NoteService]", `"acme..NoteService"`},
		"a service without a package":      {"acme.notes.v1.NoteService]", "NoteService]", `"NoteService"`},
		"a service twice":                  {"[acme.notes.v1.NoteService]", "[a.B, a.B]", `services: "a.B" is there twice`},
		"a dependency on itself":           {"[identity, authz]", "[notes]", "notes depends on itself"},
		"a dependency that is no name":     {"[identity, authz]", "[Identity]", `"Identity" is no service name`},
		"a dependency twice":               {"[identity, authz]", "[authz, authz]", `dependsOn: "authz" is there twice`},
		"a schema that is none":            {"schema: notes", "schema: No-tes", `"No-tes"`},
		"another's permission":             {"notes.note.read", "users.note.read", `"users.note.read": want notes.resource.action`},
		"a permission of two parts":        {"notes.note.read", "notes.read", `"notes.read"`},
		"a permission with a wildcard":     {"id: notes.note.read", `id: "notes.note.*"`, `"notes.note.*"`},
		"a permission twice":               {"notes.note.write", "notes.note.read", `"notes.note.read" is there twice`},
		"a permission without description": {", description: Read notes", "", `"notes.note.read" has no description`},
		"another's role":                   {"name: notes.editor", "name: users.editor", `"users.editor": want notes.role`},
		"a role that is a word":            {"name: notes.editor", "name: editor", `"editor"`},
		"a pattern that is none":           {"[notes.note.*]", `["notes.*.read"]`, `"notes.*.read" is neither`},
		"no rate":                          {"requests: 50", "requests: 0", "gateway.rateLimit"},
		"no period":                        {"per: 1s", "per: 0s", "gateway.rateLimit"},
		"no burst":                         {"burst: 100", "burst: 0", "gateway.rateLimit"},
		"a negative rate":                  {"requests: 50", "requests: -1", "-1"},
		"an alias elsewhere":               {"/.well-known/notes.json", "/notes.json", `"/notes.json"`},
		"an alias for nothing":             {"/acme.notes.v1.NoteService/GetNote}", "/GetNote}", `"/GetNote" is no procedure`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, test.from)
			_, err := manifest.Parse([]byte(strings.Replace(good, test.from, test.to, 1)))
			require.ErrorContains(t, err, "module.yaml")
			require.ErrorContains(t, err, test.says)
		})
	}
	for name, text := range map[string]string{"nothing": "", "a word": "notes", "a list": "- a", "large": "#" + strings.Repeat("x", 1<<20)} {
		_, err := manifest.Parse([]byte(text))
		require.Error(t, err, name)
	}
}

func TestSeveralFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse([]byte("name: Notes\nversion: one\nservices: [x]\n"))
	for _, says := range []string{`name "Notes"`, `version "one"`, `"x"`} {
		require.ErrorContains(t, err, says)
	}
}

func TestMustParse(t *testing.T) {
	t.Parallel()
	require.Equal(t, "notes", manifest.MustParse([]byte(good)).Name)
	require.Panics(t, func() { manifest.MustParse(nil) })
}

func TestValidPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"*": true, "notes.*": true, "notes.note.*": true, "notes.note.read": true, "notes.note_book.read_all": true,
		"": false, "notes": false, "notes.note": false, "*.note.read": false, "notes.*.read": false, "notes.note.read.more": false,
		"**": false, "notes.**": false, "Notes.note.read": false, "notes.note.read\n": false,
	} {
		require.Equal(t, want, manifest.ValidPattern(pattern), "%q", pattern)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("name: &a a\nversion: *a\n")
	f.Add("? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := manifest.Parse([]byte(text))
		if err != nil {
			require.NotEmpty(t, fmt.Sprint(err))
			return
		}
		require.NotEmpty(t, m.Name)
		require.NotNil(t, m.Proto())
	})
}
