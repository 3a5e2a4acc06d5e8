// Command buf-plugin-ashlar is a check plugin of buf: `buf lint` finds RPCs without an access rule, rules that name a
// permission that no module.yaml declares or a field that holds no organization, and RPC services that no module.yaml
// lists. What is wrong in a module.yaml has no place in a schema: `platformctl modules validate` finds it.
//
// In buf.yaml the option `root` names the folder that holds services/*/module.yaml, seen from where buf runs; without
// it, that is where buf runs.
package main

import (
	"context"
	"fmt"
	"os"

	"buf.build/go/bufplugin/check"
	"buf.build/go/bufplugin/descriptor"
	"buf.build/go/bufplugin/option"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/modulecheck"
)

const optionRoot = "root"

var spec = &check.Spec{
	Rules: []*check.RuleSpec{{
		ID:      "ASHLAR_ACCESS",
		Default: true,
		Purpose: "Checks that RPCs have access rules, and that these and their services fit the module.yaml of a module.",
		Type:    check.RuleTypeLint,
		Handler: check.RuleHandlerFunc(lint),
	}},
}

func main() { check.Main(spec) }

// lint annotates what is wrong.
func lint(_ context.Context, response check.ResponseWriter, request check.Request) error {
	root, err := option.GetStringValue(request.Options(), optionRoot)
	if err != nil {
		return err
	}
	if root == "" {
		root = "."
	}
	manifests, faults, err := manifest.ReadTree(os.DirFS(root))
	if err != nil {
		return fmt.Errorf("read services/*/module.yaml in %s, which the option %q names: %w", root, optionRoot, err)
	}
	if err := faults.Err(); err != nil {
		return err
	}
	files := map[string]descriptor.FileDescriptor{}
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range request.FileDescriptors() {
		files[file.FileDescriptorProto().GetName()] = file
		set.File = append(set.File, file.FileDescriptorProto())
	}
	schemas, err := modulecheck.ReadSchemas(set, "", func(path string) bool { return !files[path].IsImport() })
	if err != nil {
		return err
	}
	for _, found := range modulecheck.Rules(manifests, schemas) {
		file, place := files[found.File].ProtoreflectFileDescriptor(), found.Place
		found.Place = finding.Place{} // buf says it
		response.AddAnnotation(check.WithMessage(found.String()), check.WithFileNameAndSourcePath(file.Path(), sourcePath(file, place)))
	}

	return nil
}

// sourcePath returns what begins at a place, which is all that buf shows of it.
func sourcePath(file protoreflect.FileDescriptor, place finding.Place) protoreflect.SourcePath {
	for i := range file.SourceLocations().Len() {
		if at := file.SourceLocations().Get(i); at.StartLine+1 == place.Line && at.StartColumn+1 == place.Column {
			return at.Path
		}
	}

	return nil
}
