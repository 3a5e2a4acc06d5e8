package modulecheck_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "ashlar.dev/gen/go/ashlar/options/v1" // the option that the schemas import
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/modulecheck"
)

const notesYAML = `name: notes
version: 1.0.0
services: [acme.notes.v1.NoteService]
dependsOn: [people >= 1]
permissions:
  - {id: notes.note.read, description: Read notes}
  - {id: notes.note.share, description: Share notes, checkedBy: code}
roles:
  - {name: notes.editor, permissions: [notes.*, people.person.read]}
gateway:
  aliases: {/.well-known/notes.json: /acme.notes.v1.NoteService/GetNote}
`

const peopleYAML = `name: people
version: 1.2.3
permissions:
  - {id: people.person.read, description: See people}
`

const notesProto = `syntax = "proto3";
package acme.notes.v1;
import "ashlar/options/v1/access.proto";
service NoteService {
  rpc GetNote(Request) returns (Response) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (ashlar.options.v1.access) = {
      permission: "notes.note.read"
      organization_field: "organization_id"
    };
  }
  rpc ListPeople(Request) returns (stream Response) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (ashlar.options.v1.access) = {permission: "people.person.read"};
  }
  rpc Login(Request) returns (Response) {
    option (ashlar.options.v1.access) = {public: true};
  }
}
message Request {
  string organization_id = 1;
  int64 number = 2;
  repeated string list = 3;
  Request deeper = 4;
}
message Response {}
`

var originals = []string{notesYAML, peopleYAML, notesProto}

// platform is two modules and a schema, with a text in the place of another.
func platform(t *testing.T, from, to string) ([]*manifest.Manifest, *modulecheck.Schemas) {
	t.Helper()
	edited := func(text string) string { return strings.Replace(text, from, to, 1) }
	require.True(t, from == "" || slices.ContainsFunc(originals, func(text string) bool { return strings.Contains(text, from) }), from)
	var manifests []*manifest.Manifest
	for file, text := range map[string]string{"notes.yaml": notesYAML, "people.yaml": peopleYAML} {
		m, err := manifest.Parse(file, []byte(edited(text)))
		require.NoError(t, err)
		manifests = append(manifests, m)
	}
	return manifests, schemas(t, edited(notesProto))
}

func schemas(t *testing.T, text string) *modulecheck.Schemas {
	t.Helper()
	sources := &protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"notes.proto": text})}
	linked := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		file, err := protoregistry.GlobalFiles.FindFileByPath(path)
		return protocompile.SearchResult{Desc: file}, err
	})
	compiler := protocompile.Compiler{
		Resolver:       protocompile.CompositeResolver{sources, linked},
		SourceInfoMode: protocompile.SourceInfoExtraOptionLocations,
	}
	files, err := compiler.Compile(t.Context(), "notes.proto")
	require.NoError(t, err)
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protoutil.ProtoFromFileDescriptor(file))
	}
	add(files[0])
	read, err := modulecheck.ReadSchemas(set, "proto", func(path string) bool { return path == "notes.proto" })
	require.NoError(t, err)
	return read
}

func TestFindings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to string
		says     []string
	}{
		"nothing": {"", "", nil},
		"an RPC without a rule": {
			"    option (ashlar.options.v1.access) = {public: true};\n", "",
			[]string{"proto/notes.proto:16:3: acme.notes.v1.NoteService.Login has no access rule: add `option (ashlar.options.v1.access) = {…}`"},
		},
		"a rule that is set to nothing": {
			"{public: true}", "{public: false}",
			[]string{"proto/notes.proto:17:5: acme.notes.v1.NoteService.Login: access rule: public is set to nothing"},
		},
		"a permission that nobody declares": {
			`permission: "people.person.read"`, `permission: "people.person.raed"`,
			[]string{
				`people.yaml:4:10: no RPC needs the permission people.person.read: take it away, or say ` + "`checkedBy: code`" + ` if the service asks for it itself`,
				`proto/notes.proto:14:42: acme.notes.v1.NoteService.ListPeople: access rule: no module.yaml declares the permission "people.person.raed"; did you mean "people.person.read"?`,
			},
		},
		"a permission that is a pattern": {
			`permission: "notes.note.read"`, `permission: "notes.note.*"`,
			[]string{
				`notes.yaml:6:10: no RPC needs the permission notes.note.read`,
				`proto/notes.proto:8:7: acme.notes.v1.NoteService.GetNote: access rule: "notes.note.*" is no permission: want module.resource.action; wildcards are for roles only`,
			},
		},
		"a permission that no RPC needs": {
			"checkedBy: code", "checkedBy: code}\n  - {id: notes.note.burn, description: Burn notes",
			[]string{`notes.yaml:8:10: no RPC needs the permission notes.note.burn`},
		},
		"a permission that code is said to check": {
			"description: Read notes", "description: Read notes, checkedBy: code",
			[]string{`notes.yaml:6:63: /acme.notes.v1.NoteService/GetNote needs the permission notes.note.read by its access rule: take ` + "`checkedBy: code`" + ` away`},
		},
		"an organization in a field that does not exist": {
			`organization_field: "organization_id"`, `organization_field: "organisation_id"`,
			[]string{
				`notes.yaml:6:10: no RPC needs the permission notes.note.read`,
				`proto/notes.proto:9:7: acme.notes.v1.NoteService.GetNote: access rule: organization_field "organisation_id": acme.notes.v1.Request has no single field "organisation_id"`,
			},
		},
		"an organization in a number": {
			`organization_field: "organization_id"`, `organization_field: "deeper.number"`,
			[]string{`notes.yaml:6:10`, `proto/notes.proto:9:7: acme.notes.v1.NoteService.GetNote: access rule: organization_field "deeper.number" is no string`},
		},
		"an organization in a list": {
			`organization_field: "organization_id"`, `organization_field: "list"`,
			[]string{`notes.yaml:6:10`, `proto/notes.proto:9:7: acme.notes.v1.NoteService.GetNote: access rule: organization_field "list": acme.notes.v1.Request has no single field "list"`},
		},
		"a service that no schema defines": {
			"services: [acme.notes.v1.NoteService]", "services: [acme.notes.v1.NotesService, acme.notes.v1.NoteService]",
			[]string{`notes.yaml:3:12: no schema defines the RPC service acme.notes.v1.NotesService; did you mean "acme.notes.v1.NoteService"?`},
		},
		"a service that is not listed where others of its package are": {
			"message Response {}", "message Response {}\nservice ShareService {}",
			[]string{"proto/notes.proto:27:1: the RPC service acme.notes.v1.ShareService is not listed under `services` in notes.yaml:3:11, where others of its package are"},
		},
		"a service that nobody lists": {
			"services: [acme.notes.v1.NoteService]", "services: []",
			[]string{
				"notes.yaml:11:38: /acme.notes.v1.NoteService/GetNote cannot answer for /.well-known/notes.json: this module does not list the RPC service acme.notes.v1.NoteService",
				"proto/notes.proto:4:1: no module.yaml lists the RPC service acme.notes.v1.NoteService under `services`",
			},
		},
		"a service of two modules": {
			"version: 1.2.3", "version: 1.2.3\nservices: [acme.notes.v1.NoteService]",
			[]string{":12: the RPC service acme.notes.v1.NoteService is listed by "},
		},
		"a dependency that is not there": {
			"dependsOn: [people >= 1]", "dependsOn: [poeple]",
			[]string{`notes.yaml:4:13: notes depends on poeple, and there is no such module; did you mean "people"?`},
		},
		"a dependency of another version": {
			"dependsOn: [people >= 1]", "dependsOn: [people ^2]",
			[]string{`notes.yaml:4:13: notes depends on people ^2, which has version 1.2.3 here`},
		},
		"a circle": {
			"version: 1.2.3", "version: 1.2.3\ndependsOn: [notes]",
			[]string{`modules depend on each other in a circle: `},
		},
		"a role of another module's permission that is not there": {
			"[notes.*, people.person.read]", "[notes.*, people.person.raed, peple.*]",
			[]string{
				`notes.yaml:9:49: the role notes.editor has "people.person.raed", which matches no permission of any module; did you mean "people.person.read"?`,
				`notes.yaml:9:69: the role notes.editor has "peple.*", which matches no permission of any module; did you mean "people.*"?`,
			},
		},
		"an alias for a method that does not exist": {
			"NoteService/GetNote}", "NoteService/GetNotes}",
			[]string{"notes.yaml:11:38: /acme.notes.v1.NoteService/GetNotes cannot answer for /.well-known/notes.json: acme.notes.v1.NoteService has no such method"},
		},
		"an alias for a method with side effects": {
			"NoteService/GetNote}", "NoteService/Login}",
			[]string{"notes.yaml:11:38: /acme.notes.v1.NoteService/Login cannot answer for /.well-known/notes.json: its idempotency_level is not NO_SIDE_EFFECTS"},
		},
		"an alias for a stream": {
			"NoteService/GetNote}", "NoteService/ListPeople}",
			[]string{"notes.yaml:11:38: /acme.notes.v1.NoteService/ListPeople cannot answer for /.well-known/notes.json: it streams"},
		},
		"a policy for a method that does not exist": {
			"gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/GetNotes: {priority: low}}\n",
			[]string{"notes.yaml:11:53: /acme.notes.v1.NoteService/GetNotes cannot be called through the gateway: acme.notes.v1.NoteService has no such method"},
		},
		"a time-out of a stream": {
			"gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/ListPeople: {timeout: 1s}}\n",
			[]string{"notes.yaml:11:65: /acme.notes.v1.NoteService/ListPeople streams, and time-outs are for unary RPCs"},
		},
		"a bound of a stream that is none": {
			"gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/Login: {streamLimit: {messages: 5}}}\n",
			[]string{"notes.yaml:11:64: /acme.notes.v1.NoteService/Login does not stream"},
		},
		"a bound of a stream": {
			"gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/ListPeople: {streamLimit: {messages: 0}}}\n", nil,
		},
		"hedging of what has side effects": {
			"gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/Login: {hedgeAfter: 1s}}\n",
			[]string{"/acme.notes.v1.NoteService/Login is asked of one instance only: hedgeAfter is for unary RPCs"},
		},
		"a policy of a method": {
			"gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/Login: {timeout: 1s, priority: high}}\n", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := modulecheck.All(platform(t, test.from, test.to))
			require.Len(t, found, len(test.says), "%v", found)
			for i, says := range test.says {
				require.Contains(t, found[i].String(), says)
			}
		})
	}
}

func TestPolicyOfAnInternalMethod(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("notes.yaml", []byte(strings.Replace(notesYAML, "gateway:\n", "gateway:\n  procedures: {/acme.notes.v1.NoteService/Login: {priority: low}}\n", 1)))
	require.NoError(t, err)
	internal := schemas(t, strings.Replace(notesProto, "{public: true}", "{internal: true}", 1))
	require.EqualError(t, modulecheck.Declarations([]*manifest.Manifest{m}, internal),
		"notes.yaml:11:50: /acme.notes.v1.NoteService/Login cannot be called through the gateway: it is internal")
}

func TestAModuleTwice(t *testing.T) {
	t.Parallel()
	var manifests []*manifest.Manifest
	for _, file := range []string{"a.yaml", "b.yaml"} {
		m, err := manifest.Parse(file, []byte("name: notes\nversion: 1.0.0\n"))
		require.NoError(t, err)
		manifests = append(manifests, m)
	}
	require.EqualError(t, modulecheck.Manifests(manifests), "b.yaml:1:7: the module notes is there twice: see a.yaml:1:7")
}

func TestCirclesSayTheirPath(t *testing.T) {
	t.Parallel()
	var manifests []*manifest.Manifest
	for _, module := range [][2]string{{"a", "b, f"}, {"b", "c"}, {"c", "d, b"}, {"d", "b"}, {"e", "a"}, {"f", ""}} {
		m, err := manifest.Parse(module[0]+".yaml", []byte("name: "+module[0]+"\nversion: 1.0.0\ndependsOn: ["+module[1]+"]\n"))
		require.NoError(t, err)
		manifests = append(manifests, m)
	}
	require.EqualError(t, modulecheck.Manifests(manifests), strings.Join([]string{
		"b.yaml:3:13: modules depend on each other in a circle: b -> c -> b",
		"d.yaml:3:13: modules depend on each other in a circle: d -> b -> c -> d",
	}, "\n"))
}

func TestNeededBy(t *testing.T) {
	t.Parallel()
	_, schemas := platform(t, "", "")
	require.Equal(t, map[string][]string{
		"notes.note.read":    {"/acme.notes.v1.NoteService/GetNote"},
		"people.person.read": {"/acme.notes.v1.NoteService/ListPeople"},
	}, schemas.NeededBy())
}

// Not every compiler tells where the parts of an option are: then the place is where the RPC begins.
func TestSchemasWithoutSourceInformation(t *testing.T) {
	t.Parallel()
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: new("a.proto"), Package: new("a"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("M")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: new("Do"), InputType: new(".a.M"), OutputType: new(".a.M")},
		}}},
	}}}
	read, err := modulecheck.ReadSchemas(set, "", func(string) bool { return true })
	require.NoError(t, err)
	require.ErrorContains(t, modulecheck.Rules(nil, read), "a.proto: a.S.Do has no access rule")
	nothing, err := modulecheck.ReadSchemas(set, "", func(string) bool { return false })
	require.NoError(t, err)
	require.Empty(t, modulecheck.All(nil, nothing))

	set.File[0].Dependency = []string{"missing.proto"}
	_, err = modulecheck.ReadSchemas(set, "", func(string) bool { return true })
	require.ErrorContains(t, err, "missing.proto")
}
