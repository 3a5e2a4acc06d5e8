package modules_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platformctl/exit"
	tree "ashlar.dev/platformctl/repository/repositorytest"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, from, to string
		says           []string
	}{
		"a good platform": {tree.NotesManifest, "", "", nil},
		"a manifest with several faults": {
			tree.NotesManifest, "version: 1.0.0\ndescription", "version: one\ndescriptionn",
			[]string{
				`services/notes/module.yaml:2:10: version: "one" is not as it should be: want a semantic version such as 1.0.0`,
				`services/notes/module.yaml:3:1: unknown key "descriptionn"; did you mean "description"?`,
			},
		},
		"a module in the folder of another": {
			tree.PeopleService, "name: people\nversion: 1.2.3\npermissions:\n  - {id: people.person.read, description: See people}", "name: persons\nversion: 1.2.3",
			[]string{"services/people/module.yaml:1:7: the module persons is in a folder of the name people: they must be the same"},
		},
		"a dependency that is not there": {
			tree.NotesManifest, "[people]", "[peple]",
			[]string{`services/notes/module.yaml:5:13: notes depends on peple, and there is no such module; did you mean "people"?`},
		},
		"a dependency of another version": {
			tree.NotesManifest, "[people]", "[people ^2]",
			[]string{`services/notes/module.yaml:5:13: notes depends on people ^2, which has version 1.2.3 here`},
		},
		"a circle": {
			tree.PeopleService, "version: 1.2.3", "version: 1.2.3\ndependsOn: [notes]",
			[]string{`services/notes/module.yaml:5:13: modules depend on each other in a circle: notes -> people -> notes`},
		},
		"an RPC without a rule": {
			tree.NotesSchema, `    option (ashlar.options.v1.access) = {permission: "people.person.read"};`, "",
			[]string{
				"proto/acme/notes/v1/note.proto:13:3: acme.notes.v1.NoteService.ListPeople has no access rule",
				"services/people/module.yaml:4:10: no RPC needs the permission people.person.read",
			},
		},
		"a permission that nobody declares": {
			tree.NotesSchema, `permission: "notes.note.read"`, `permission: "notes.note.reed"`,
			[]string{
				`proto/acme/notes/v1/note.proto:9:7: acme.notes.v1.NoteService.GetNote: access rule: no module.yaml declares the permission "notes.note.reed"; did you mean "notes.note.read"?`,
				"services/notes/module.yaml:7:10: no RPC needs the permission notes.note.read",
			},
		},
		"an organization in no field": {
			tree.NotesSchema, `organization_field: "organization_id"`, `organization_field: "organization"`,
			[]string{
				`proto/acme/notes/v1/note.proto:10:7: acme.notes.v1.NoteService.GetNote: access rule: organization_field "organization": acme.notes.v1.Request has no single field "organization"`,
				"services/notes/module.yaml:7:10: no RPC needs the permission notes.note.read",
			},
		},
		"a service that is not listed": {
			tree.NotesSchema, "message Response", "service ShareService {}\nmessage Response",
			[]string{"proto/acme/notes/v1/note.proto:20:1: the RPC service acme.notes.v1.ShareService is not listed under `services` in services/notes/module.yaml:4:11, where others of its package are"},
		},
		"a schema that does not compile": {
			tree.NotesSchema, "string organization_id", "strnig organization_id",
			[]string{`proto/acme/notes/v1/note.proto:18:3: field acme.notes.v1.Request.organization_id: unknown type strnig`},
		},
		"a schema that imports what is not there": {
			tree.NotesSchema, "google/protobuf/timestamp.proto", "google/protobuf/tmiestamp.proto",
			[]string{`proto/acme/notes/v1/note.proto:5:8: there is no schema google/protobuf/tmiestamp.proto in proto, nor in .bin/proto, where ` + "`task gen`" + ` puts those of others`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree.Write(t, tree.Edited(t, test.file, test.from, test.to))
			got := tree.Run(t, "modules", "validate", "--root", root)
			if len(test.says) == 0 {
				require.Equal(t, tree.Result{Code: exit.OK, Out: "2 modules and their schemas are as they should be.\n"}, got)
				return
			}
			require.Equal(t, exit.Invalid, got.Code, got)
			lines := strings.Split(strings.TrimSuffix(got.Out, "\n"), "\n")
			require.Len(t, lines, len(test.says), got.Out)
			for i, says := range test.says {
				require.Contains(t, lines[i], says)
			}
			require.Contains(t, got.Err, "fault")
		})
	}
}

func TestValidateAsData(t *testing.T) {
	t.Parallel()
	root := tree.Write(t, tree.Edited(t, tree.NotesManifest, "[people]", "[peple]"))
	got := tree.Run(t, "modules", "validate", "--root", root, "-o", "json")
	require.Equal(t, exit.Invalid, got.Code)
	require.JSONEq(t, `[{"file": "services/notes/module.yaml", "line": 5, "column": 13,
		"message": "notes depends on peple, and there is no such module", "suggestion": "people"}]`, got.Out)
	require.Equal(t, tree.Result{Out: "[]\n"}, tree.Run(t, "modules", "validate", "--root", tree.Write(t, nil), "-o", "yaml"))
}

func TestValidateShowsTheFaultsOfSomeFiles(t *testing.T) {
	t.Parallel()
	root := tree.Write(t, tree.Edited(t, tree.NotesSchema, `permission: "notes.note.read"`, `permission: "notes.note.reed"`))
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	for _, shown := range []string{"proto", tree.NotesSchema} {
		got := tree.Run(t, "modules", "validate", "--root", root, at(shown))
		require.Equal(t, exit.Invalid, got.Code)
		require.Equal(t, 1, strings.Count(got.Out, "\n"), got.Out)
		require.Contains(t, got.Out, "proto/acme/notes/v1/note.proto:9:7")
	}
	require.Equal(t, 2, strings.Count(tree.Run(t, "modules", "validate", "--root", root, root).Out, "\n"))
	require.Equal(t, tree.Result{Code: exit.OK, Out: "Nothing was found in " + at("services/people") + ".\n"},
		tree.Run(t, "modules", "validate", "--root", root, at("services/people")))
	require.Equal(t, exit.Invalid, tree.Run(t, "modules", "validate", "--root", root, at("services/people"), at("services/notes")).Code)

	require.Equal(t, tree.Result{Code: exit.Usage, Err: "platformctl: there is no file or folder " + at("services/poeple") + "\n"},
		tree.Run(t, "modules", "validate", "--root", root, at("services/poeple")))
	require.Equal(t, exit.Usage, tree.Run(t, "modules", "validate", "--root", root, t.TempDir()).Code, "outside")
}

// Where anything cannot be read nothing was checked, so no path is as it should be.
func TestValidateOfSomeFilesShowsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, from, to, says string }{
		"a manifest": {tree.NotesManifest, "version: 1.0.0", "version: one", "services/notes/module.yaml:2:10"},
		"a schema":   {tree.NotesSchema, "string organization_id", "strnig organization_id", "proto/acme/notes/v1/note.proto:18:3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree.Write(t, tree.Edited(t, test.file, test.from, test.to))
			got := tree.Run(t, "modules", "validate", "--root", root, filepath.Join(root, "services", "people"))
			require.Equal(t, exit.Invalid, got.Code, got)
			require.Contains(t, got.Out, test.says)
		})
	}
}

func TestValidateNeedsARepository(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	got := tree.Run(t, "modules", "validate", "--root", root)
	require.Equal(t, exit.Failure, got.Code)
	require.Empty(t, got.Out)
	require.Contains(t, got.Err, root+" is no repository of a platform")
}

// A repository whose schemas import what no Go package brings along finds it where tools/protoexport put it.
func TestImportsThatWereExported(t *testing.T) {
	t.Parallel()
	others := tree.Edited(t, tree.NotesSchema, `import "google/protobuf/timestamp.proto";`,
		"import \"google/protobuf/timestamp.proto\";\nimport \"elsewhere/money.proto\";")
	others[".bin/proto/elsewhere/money.proto"] = "syntax = \"proto3\";\npackage elsewhere;\nmessage Money {}\nservice Bank {}\n"
	got := tree.Run(t, "modules", "validate", "--root", tree.Write(t, others))
	require.Equal(t, exit.OK, got.Code, got.Out)
}

func TestSchema(t *testing.T) {
	t.Parallel()
	got := tree.Run(t, "modules", "schema")
	require.Equal(t, tree.Result{Out: string(manifest.Schema())}, got)
	require.True(t, json.Valid([]byte(got.Out)))
}

// The repository that this is in: its modules fit together, and editors find the schema.
func TestThisRepository(t *testing.T) {
	t.Parallel()
	got := tree.Run(t, "modules", "validate", "--root", "../..")
	require.Equal(t, exit.OK, got.Code, got.Out+got.Err)
	manifests, err := filepath.Glob("../../services/*/module.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, manifests)
	for _, file := range manifests {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		line, _, _ := strings.Cut(string(text), "\n")
		schema, ok := strings.CutPrefix(line, "# yaml-language-server: $schema=")
		require.True(t, ok, "%s begins with the line that tells editors of the schema", file)
		published, err := os.ReadFile(filepath.Join(filepath.Dir(file), schema))
		require.NoError(t, err)
		require.Equal(t, manifest.Schema(), published)
	}
}

// What the documentation shows is a good manifest, and its mistakes are where it says.
func TestTheExampleInTheDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/modules.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "```yaml\n")
	require.True(t, ok)
	example, _, _ := strings.Cut(rest, "```")
	_, err = manifest.Parse("services/notes/module.yaml", []byte(example))
	require.NoError(t, err)
	_, err = manifest.Parse("services/notes/module.yaml", []byte(strings.NewReplacer("services:", "servces:", "notes.note.*", "notes.notes.*").Replace(example)))
	for line := range strings.Lines(err.Error() + "\n") {
		require.Contains(t, string(page), "    "+line)
	}
}
