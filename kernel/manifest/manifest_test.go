package manifest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
)

const good = `name: notes
version: 1.0.0
description: Notes with sharing
services: [acme.notes.v1.NoteService]
dependsOn: [identity >=1.2, authz]
database: {schema: notes}
permissions:
  - {id: notes.note.read, description: Read notes}
  - {id: notes.note.write, description: Change notes, checkedBy: code}
roles:
  - {name: notes.editor, description: Works with notes, permissions: [notes.note.*]}
gateway:
  expose: true
  timeout: 5s
  rateLimit: {requests: 50, per: 1s, burst: 100}
  aliases: {/.well-known/notes.json: /acme.notes.v1.NoteService/GetNote}
  procedures:
    /acme.notes.v1.NoteService/SearchNotes: {timeout: 2s, rateLimit: {requests: 5, per: 1m, burst: 6}, priority: low, hedgeAfter: 100ms}
    /acme.notes.v1.NoteService/WatchNotes: {streamLimit: {messages: 0, bytes: 5000000000}}
`

// parse reads a file of the name dir/module.yaml.
func parse(text string) (*manifest.Manifest, error) {
	return manifest.Parse("dir/module.yaml", []byte(text))
}

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := parse(good)
	require.NoError(t, err)
	require.Equal(t, "notes", m.Name)
	require.Equal(t, "1.0.0", m.Version)
	require.Equal(t, "Notes with sharing", m.Description)
	require.Equal(t, []string{"acme.notes.v1.NoteService"}, m.Services)
	require.Equal(t, []manifest.Dependency{{Name: "identity", Requirement: ">= 1.2"}, {Name: "authz"}}, m.DependsOn)
	require.Equal(t, manifest.Database{Schema: "notes"}, m.Database)
	require.Equal(t, []manifest.Permission{
		{ID: "notes.note.read", Description: "Read notes"},
		{ID: "notes.note.write", Description: "Change notes", CheckedBy: manifest.ByCode},
	}, m.Permissions)
	require.Equal(t, []manifest.Role{{Name: "notes.editor", Description: "Works with notes", Permissions: []string{"notes.note.*"}}}, m.Roles)
	require.Equal(t, manifest.Gateway{
		Expose: true, Timeout: 5 * time.Second, RateLimit: &manifest.RateLimit{Requests: 50, Per: time.Second, Burst: 100},
		Aliases: map[string]string{"/.well-known/notes.json": "/acme.notes.v1.NoteService/GetNote"},
		Procedures: map[string]manifest.Procedure{"/acme.notes.v1.NoteService/SearchNotes": {
			Timeout: 2 * time.Second, RateLimit: &manifest.RateLimit{Requests: 5, Per: time.Minute, Burst: 6}, Priority: manifest.Low,
			HedgeAfter: 100 * time.Millisecond,
		}, "/acme.notes.v1.NoteService/WatchNotes": {
			StreamLimit: &manifest.StreamLimit{Messages: new(uint64(0)), Bytes: new(uint64(5e9))},
		}},
	}, m.Gateway)

	p := m.Proto()
	require.Equal(t, "notes", p.GetName())
	require.Equal(t, []string{"identity >= 1.2", "authz"}, p.GetDependsOn())
	require.Equal(t, "Read notes", p.GetPermissions()[0].GetDescription())
	require.Equal(t, []string{"notes.note.*"}, p.GetRoles()[0].GetPermissions())
	require.True(t, p.GetGateway().GetExpose())
	require.Equal(t, 5*time.Second, p.GetGateway().GetTimeout().AsDuration())
	require.EqualValues(t, 100, p.GetGateway().GetRateLimit().GetBurst())
	require.Len(t, p.GetGateway().GetAliases(), 1)
	search := p.GetGateway().GetProcedures()["/acme.notes.v1.NoteService/SearchNotes"]
	require.Equal(t, 2*time.Second, search.GetTimeout().AsDuration())
	require.EqualValues(t, 6, search.GetRateLimit().GetBurst())
	require.Equal(t, kernelv1.Priority_PRIORITY_LOW, search.GetPriority())
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	m, err := parse(good)
	require.NoError(t, err)
	for path, want := range map[string]string{
		"":                        "dir/module.yaml:1:1",
		"name":                    "dir/module.yaml:1:7",
		"services[0]":             "dir/module.yaml:4:12",
		"dependsOn[1]":            "dir/module.yaml:5:29",
		"permissions[1]":          "dir/module.yaml:9:5",
		"permissions[1].id":       "dir/module.yaml:9:10",
		"roles[0].permissions[0]": "dir/module.yaml:11:71",
		"gateway.aliases[/.well-known/notes.json]":                           "dir/module.yaml:16:38",
		"gateway.procedures[/acme.notes.v1.NoteService/SearchNotes].timeout": "dir/module.yaml:18:55",
		"gateway.procedures[/acme.notes.v1.NoteService/SearchNotes].colour":  "dir/module.yaml:18:45",
		// What is not there is where it would be.
		"roles[0].permissions[7]":                "dir/module.yaml:11:70",
		"gateway.aliases[/.well-known/x.y.json]": "dir/module.yaml:16:12",
		"database.schema.more":                   "dir/module.yaml:6:20",
		"nothing":                                "dir/module.yaml:1:1",
	} {
		require.Equal(t, want, m.Place(path).String(), path)
	}
	require.Equal(t, finding.Place{}, (&manifest.Manifest{}).Place("permissions[0].id"), "a manifest that was not read is nowhere")
}

func TestTheLeastThatIsNeeded(t *testing.T) {
	t.Parallel()
	m, err := parse("name: a\nversion: 0.0.1\n")
	require.NoError(t, err)
	require.Nil(t, m.Proto().GetGateway().GetTimeout())
	require.Nil(t, m.Proto().GetGateway().GetRateLimit())
	require.False(t, m.Proto().GetGateway().GetExpose(), "nothing is exposed that does not ask for it")
}

// edit is the good file with a text in the place of another.
type edit struct {
	from, to string
	// says is what the error says, from the place on; empty: it is still a good file.
	says string
	// fits tells that the JSON schema has nothing against it: it takes more than looking at one value to see the fault.
	fits bool
}

// many is a list of dependencies with the longest names.
func many(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = strings.Repeat("n", 39) + string(rune('a'+i))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// edits are good and bad files, for the parser and for the JSON schema.
var edits = map[string]edit{
	"as it is":                              {"", "", "", true},
	"a pre-release":                         {"1.0.0", "1.0.0-rc.1", "", true},
	"any requirement":                       {"identity >=1.2", `"identity ^1.4, !=1.5.0||>= 2.0.0-0, < 3"`, "", true},
	"a block of text":                       {"description: Notes with sharing", "description: |\n  Notes\n  with sharing", "", true},
	"a role of others' permissions":         {"[notes.note.*]", `["*", identity.*, identity.user.read]`, "", true},
	"a role without permissions":            {"[notes.note.*]", `[]`, "", true},
	"quoted":                                {"name: notes", `name: "notes"`, "", true},
	"text in another alphabet":              {"Notes with sharing", "Заметки 🗒", "", true},
	"the longest description":               {"Notes with sharing", strings.Repeat("é", 500), "", true},
	"the longest name of a module":          {"dependsOn: [identity", "dependsOn: [" + strings.Repeat("n", 40), "", true},
	"as many dependencies as may be":        {"[identity >=1.2, authz]", many(12), "", true},
	"too many dependencies":                 {"[identity >=1.2, authz]", many(13), `5:12: dependsOn: has 13 items, more than 12`, false},
	"a dependency with a loose end":         {"identity >=1.2", `"identity "`, `5:13: dependsOn[0]: "identity ": "" is no requirement of a version such as`, false},
	"a duration of two units":               {"5s", "1m30.5s", "", true},
	"the largest number":                    {"requests: 50", "requests: 4294967295", "", true},
	"no name":                               {"name: notes", "", `2:1: the key "name" is missing`, false},
	"a name in capitals":                    {"name: notes", "name: Notes", `1:7: name: "Notes" is not as it should be: want lower-case letters and digits`, false},
	"a name with a dash":                    {"name: notes", "name: my-notes", `1:7: name: "my-notes" is not`, false},
	"a long name":                           {"name: notes", "name: " + strings.Repeat("n", 41), `1:7: name: "nnn`, false},
	"a name with a line end":                {"name: notes", `name: "notes\n"`, `1:7: name: "notes\n" is not`, false},
	"no version":                            {"version: 1.0.0", "", `1:1: the key "version" is missing`, false},
	"half a version":                        {"version: 1.0.0", "version: v1", `2:10: version: "v1" is not as it should be: want a semantic version such as 1.0.0`, false},
	"a version that is a number":            {"version: 1.0.0", "version: 1.0", `2:10: version: want a semantic version such as 1.0.0, not a number; if it is meant as text, put it into quotes`, false},
	"a version with a leading zero":         {"version: 1.0.0", "version: 1.02.0", `2:10: version: "1.02.0" is not`, false},
	"a huge version":                        {"version: 1.0.0", "version: 1.99999999999999999999.0", `2:10: version: "1.9`, false},
	"an unknown key":                        {"database:", "databse:", `6:1: unknown key "databse"; did you mean "database"?`, false},
	"an unknown key like none":              {"database:", "colour:", "6:1: unknown key \"colour\"", false},
	"an unknown key inside":                 {"expose: true", "exposed: true", `13:3: gateway: unknown key "exposed"; did you mean "expose"?`, false},
	"an unknown key in a list":              {"id: notes.note.read", "ID: notes.note.read", `8:6: permissions[0]: unknown key "ID"; did you mean "id"?`, false},
	"a key that is there twice":             {"version: 1.0.0", "version: 1.0.0\nname: notes", `3:1: the key "name" is there twice`, true},
	"a key that is no word":                 {"version: 1.0.0", "version: 1.0.0\n1: notes", `3:1: a key must be a plain word`, false},
	"a key without a value":                 {"dependsOn: [identity >=1.2, authz]", "dependsOn:", `dependsOn: want a list, not nothing`, false},
	"a list for a word":                     {"version: 1.0.0", "version: [1]", `2:10: version: want a semantic version such as 1.0.0, not a list`, false},
	"a word for a list":                     {"[identity >=1.2, authz]", "identity", `5:12: dependsOn: want a list, not a text`, false},
	"a word for a mapping":                  {"{schema: notes}", "notes", `6:11: database: want a mapping of keys to values, not a text`, false},
	"a word in a list of mappings":          {"{id: notes.note.read, description: Read notes}", "notes.note.read", `8:5: permissions[0]: want a mapping`, false},
	"a word for a flag":                     {"expose: true", "expose: yes", `13:11: gateway.expose: want true or false, not a text`, false},
	"an anchor":                             {"name: notes", "name: &n notes", `1:7: name: want lower-case letters`, true},
	"an alias":                              {"schema: notes", "schema: *n", `6:20: database.schema: want lower-case letters`, true},
	"a tag":                                 {"name: notes", "name: !!str notes", `1:7: name: want lower-case letters`, true},
	"a merge":                               {"{schema: notes}", "{<<: {schema: notes}}", `6:12: a key must be a plain word`, true},
	"an empty database":                     {"{schema: notes}", "{}", `6:11: database: the key "schema" is missing`, false},
	"a bad duration":                        {"timeout: 5s", "timeout: soon", `14:12: gateway.timeout: "soon" is not as it should be: want a time such as 500ms, 5s or 1m30s`, false},
	"a duration without a unit":             {"timeout: 5s", "timeout: 5", `14:12: gateway.timeout: want a time such as 500ms, 5s or 1m30s, not a number`, false},
	"a negative duration":                   {"timeout: 5s", "timeout: -5s", `14:12: gateway.timeout: "-5s" is not`, false},
	"no duration":                           {"timeout: 5s", "timeout: 0s", `14:12: gateway.timeout: "0s" is not as it should be: want a time above zero`, true},
	"a duration beyond all":                 {"timeout: 5s", "timeout: 99999999999h", `14:12: gateway.timeout: "99999999999h"`, true},
	"broken YAML":                           {"services: [acme.notes.v1.NoteService]", "services: [acme", `5:1: no YAML: `, false},
	"two documents":                         {"gateway:", "---\ngateway:", `13:1: a manifest is one YAML document, and here begins another`, true},
	"a service that is no name":             {"acme.notes.v1.NoteService]", "acme..NoteService]", `4:12: services[0]: "acme..NoteService" is not`, false},
	"a service without a package":           {"acme.notes.v1.NoteService]", "NoteService]", `4:12: services[0]: "NoteService" is not`, false},
	"a service twice":                       {"[acme.notes.v1.NoteService]", "[a.B, a.B]", `4:17: services[1]: "a.B" is there twice`, false},
	"a service that all have":               {"[acme.notes.v1.NoteService]", "[grpc.health.v1.Health]", `4:12: services[0]: "grpc.health.v1.Health" is served by every service and listed by none`, true},
	"a dependency on itself":                {"[identity >=1.2, authz]", "[notes]", `5:13: dependsOn[0]: notes depends on itself`, true},
	"a dependency that is no name":          {"[identity >=1.2, authz]", "[Identity]", `5:13: dependsOn[0]: "Identity" does not begin with the name of a service`, false},
	"a dependency twice":                    {"[identity >=1.2, authz]", "[authz, authz]", `5:20: dependsOn[1]: "authz" is there twice`, false},
	"a dependency in two versions":          {"[identity >=1.2, authz]", "[authz, authz >= 2]", `5:20: dependsOn[1]: "authz" is there twice`, true},
	"a requirement without operator":        {"identity >=1.2", "identity 1.2", `5:13: dependsOn[0]: "identity 1.2": "1.2" is no requirement of a version such as`, false},
	"a requirement of nothing":              {"identity >=1.2", `"identity >="`, `">=" is no requirement`, false},
	"a requirement with a joker":            {"identity >=1.2", `identity >= 1.x`, `">= 1.x" is no requirement`, false},
	"a requirement with a loose end":        {"identity >=1.2", `"identity >= 1.2,"`, `">= 1.2," is no requirement`, false},
	"a schema that is none":                 {"schema: notes", "schema: No-tes", `6:20: database.schema: "No-tes" is not`, false},
	"another's permission":                  {"id: notes.note.read", "id: users.note.read", `8:10: permissions[0].id: "users.note.read" does not belong to this module: want notes.note.read`, true},
	"a permission of two parts":             {"notes.note.read", "notes.read", `8:10: permissions[0].id: "notes.read" is not as it should be: want module.resource.action`, false},
	"a permission with a wildcard":          {"id: notes.note.read", `id: "notes.note.*"`, `8:10: permissions[0].id: "notes.note.*" is not`, false},
	"a permission twice":                    {"notes.note.write", "notes.note.read", `9:10: permissions[1].id: "notes.note.read" is there twice`, true},
	"a permission without description":      {", description: Read notes", "", `8:5: permissions[0]: the key "description" is missing`, false},
	"a permission with a blank description": {"Read notes", `" "`, `8:40: permissions[0].description: " " is not`, false},
	"a long description":                    {"Read notes", strings.Repeat("é", 501), `8:40: permissions[0].description: "ééé`, false},
	"a permission checked by nobody":        {"checkedBy: code", "checkedBy: coed", `9:66: permissions[1].checkedBy: unknown word "coed": want code; did you mean "code"?`, false},
	"another's role":                        {"name: notes.editor", "name: users.editor", `11:12: roles[0].name: "users.editor" does not belong to this module: want notes.editor`, true},
	"a role that is a word":                 {"name: notes.editor", "name: editor", `11:12: roles[0].name: "editor" is not`, false},
	"a role of nothing":                     {", permissions: [notes.note.*]", "", `11:5: roles[0]: the key "permissions" is missing`, false},
	"a pattern that is none":                {"[notes.note.*]", `["notes.*.read"]`, `11:71: roles[0].permissions[0]: "notes.*.read" is not`, false},
	"a pattern twice":                       {"[notes.note.*]", `["*", "*"]`, `11:76: roles[0].permissions[1]: "*" is there twice`, false},
	"a pattern that matches nothing":        {"[notes.note.*]", `[notes.notes.*]`, `11:71: roles[0].permissions[0]: "notes.notes.*" matches no permission that this module declares; did you mean "notes.note.*"?`, true},
	"a permission that is not there":        {"[notes.note.*]", `[notes.note.raed]`, `11:71: roles[0].permissions[0]: "notes.note.raed" matches no permission that this module declares; did you mean "notes.note.read"?`, true},
	"no rate":                               {"requests: 50", "requests: 0", `15:25: gateway.rateLimit.requests: 0 is not as it should be: want a whole number from 1`, false},
	"no period":                             {"per: 1s", "per: 0s", `15:34: gateway.rateLimit.per: "0s" is not as it should be: want a time above zero`, true},
	"no burst":                              {", burst: 100", "", `15:14: gateway.rateLimit: the key "burst" is missing`, false},
	"a negative rate":                       {"requests: 50", "requests: -1", `15:25: gateway.rateLimit.requests: -1 is not`, false},
	"a rate above all":                      {"requests: 50", "requests: 4294967296", `15:25: gateway.rateLimit.requests: 4294967296 is not`, false},
	"a fraction of a rate":                  {"requests: 50", "requests: 1.5", `15:25: gateway.rateLimit.requests: want a whole number, not a number`, false},
	"an alias elsewhere":                    {"/.well-known/notes.json", "/notes.json", `16:13: gateway.aliases: "/notes.json" is not as it should be: want a path that begins with /.well-known/ (RFC 8615)`, false},
	"an alias for nothing":                  {"/acme.notes.v1.NoteService/GetNote}", "/GetNote}", `16:38: gateway.aliases[/.well-known/notes.json]: "/GetNote" is not as it should be: want a procedure`, false},
	"an alias twice":                        {"aliases: {", "aliases: {/.well-known/notes.json: /acme.notes.v1.NoteService/GetNote, ", `the key "/.well-known/notes.json" is there twice`, true},
	"a procedure of another module":         {"NoteService/SearchNotes", "NoteServices/SearchNotes", `18:46: gateway.procedures[/acme.notes.v1.NoteServices/SearchNotes]: this module does not list the RPC service acme.notes.v1.NoteServices; did you mean "/acme.notes.v1.NoteService/SearchNotes"?`, true},
	"a procedure that is none":              {"/acme.notes.v1.NoteService/SearchNotes", "acme.notes.v1.NoteService/SearchNotes", `18:5: gateway.procedures: "acme.notes.v1.NoteService/SearchNotes" is not as it should be: want a procedure`, false},
	"a procedure with an unknown key":       {"timeout: 2s", "timeuot: 2s", `SearchNotes]: unknown key "timeuot"; did you mean "timeout"?`, false},
	"a procedure with half a limit":         {", burst: 6", "", `SearchNotes].rateLimit: the key "burst" is missing`, false},
	"an unknown priority":                   {"priority: low", "priority: hihg", `SearchNotes].priority: unknown word "hihg": want low or normal or high; did you mean "high"?`, false},
	"too many items":                        {"[acme.notes.v1.NoteService]", "[" + strings.Repeat("a.B,", 101) + "]", `4:11: services: has 101 items, more than 100`, false},
}

func TestGoodAndBadFiles(t *testing.T) {
	t.Parallel()
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, edit.from)
			_, err := parse(strings.Replace(good, edit.from, edit.to, 1))
			if edit.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, edit.says)
			require.ErrorContains(t, err, "dir/module.yaml:")
		})
	}
}

func TestFilesThatAreNoManifestAtAll(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                                    "dir/module.yaml: the file says nothing",
		"# nothing\n":                         "dir/module.yaml: the file says nothing",
		"null":                                "dir/module.yaml:1:1: want a mapping of keys to values, not nothing",
		"notes":                               "dir/module.yaml:1:1: want a mapping of keys to values, not a text",
		"- a":                                 "dir/module.yaml:1:1: want a mapping of keys to values, not a list",
		"&a {name: *a}":                       "dir/module.yaml:1:1: want a mapping of keys to values, not an anchor or alias, of which a manifest has none",
		"#" + strings.Repeat("x", 256<<10):    "dir/module.yaml: the file has 262145 bytes, more than 262144",
		"a: " + strings.Repeat("[", 1<<14):    "dir/module.yaml:1:20: no manifest has more than 16 levels",
		"a: " + strings.Repeat("{b: ", 1<<13): "dir/module.yaml:1:68: no manifest has more than 16 levels",
	} {
		_, err := parse(text)
		require.ErrorContains(t, err, says)
	}
}

func TestAllFaultsAreToldAtOnceInTheirOrder(t *testing.T) {
	t.Parallel()
	_, err := parse("services: [x]\nmane: notes\nversion: one\nname: Notes\nrole: []\nnames: []\n")
	require.EqualError(t, err, strings.Join([]string{
		`dir/module.yaml:1:12: services[0]: "x" is not as it should be: want a fully-qualified name such as acme.notes.v1.NoteService`,
		`dir/module.yaml:2:1: unknown key "mane"; did you mean "name"?`,
		`dir/module.yaml:3:10: version: "one" is not as it should be: want a semantic version such as 1.0.0`,
		`dir/module.yaml:4:7: name: "Notes" is not as it should be: want lower-case letters and digits, beginning with a letter, at most 40`,
		`dir/module.yaml:5:1: unknown key "role"; did you mean "roles"?`,
		`dir/module.yaml:6:1: unknown key "names"; did you mean "name"?`,
	}, "\n"))
	_, ok := errors.AsType[finding.List](err)
	require.True(t, ok, "tools get the places")
}

func TestMustParse(t *testing.T) {
	t.Parallel()
	require.Equal(t, "notes", manifest.MustParse([]byte(good)).Name)
	require.PanicsWithError(t, "module.yaml: the file says nothing: a manifest has at least a name and a version", func() { manifest.MustParse(nil) })
}

func TestValidPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"*": true, "notes.*": true, "notes.note.*": true, "notes.note.read": true, "notes.note_book.read_all": true,
		"": false, "notes": false, "notes.note": false, "*.note.read": false, "notes.*.read": false, "notes.note.read.more": false,
		"**": false, "notes.**": false, "Notes.note.read": false, "notes.note.read\n": false,
	} {
		require.Equal(t, want, manifest.ValidPattern(pattern), "%q", pattern)
		require.Equal(t, want && !strings.Contains(pattern, "*"), manifest.ValidPermission(pattern), "%q", pattern)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("name: &a a\nversion: *a\n")
	f.Add("? [a]\n: b\n")
	f.Add("name: |\n a\n---\n%YAML 1.2\n---\n!!str a: [<<: *b]\n")
	for _, edit := range edits {
		f.Add(strings.Replace(good, edit.from, edit.to, 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parse(text)
		if err != nil {
			found, ok := errors.AsType[finding.List](err)
			require.True(t, ok)
			for _, f := range found {
				require.Equal(t, "dir/module.yaml", f.File)
				require.LessOrEqual(t, f.Line, strings.Count(text, "\n")+strings.Count(text, "\r")+1)
				require.NotEmpty(t, f.Message)
			}
			return
		}
		require.NotEmpty(t, m.Name)
		require.NotNil(t, m.Proto())
		for _, d := range m.DependsOn {
			again, err := manifest.ParseDependency(d.String())
			require.NoError(t, err, "what is written can be read")
			require.Equal(t, d, again)
		}
	})
}
