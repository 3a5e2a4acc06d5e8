// Package suite knows what the official conformance suite (connectrpc.com/conformance) expects of a program under test:
// the messages by which its runner tells what to serve, and the schema of the service that is called. The suite keeps
// its generated code to itself, so its schemas are compiled from the .proto files in its module. The package does not
// know what is tested.
package suite

import (
	"context"
	"fmt"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// Service is the RPC service that the suite calls.
const Service = "connectrpc.conformance.v1.ConformanceService"

// The files of the suite that matter here.
const (
	serviceFile = "connectrpc/conformance/v1/service.proto"
	serverFile  = "connectrpc/conformance/v1/server_compat.proto"
)

// Schema holds the schemas of the suite.
type Schema struct {
	service protoreflect.FileDescriptor
	server  protoreflect.FileDescriptor
}

// Compile reads the schemas in the folder `proto` of the suite's module.
func Compile(ctx context.Context, folder string) (*Schema, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{folder}}),
	}
	files, err := compiler.Compile(ctx, serviceFile, serverFile)
	if err != nil {
		return nil, fmt.Errorf("compile the suite's schemas in %s: %w", folder, err)
	}
	return &Schema{service: files[0], server: files[1]}, nil
}

// Descriptors returns the schema of Service and all that it imports, with every method open to the public: the suite
// brings no access rules, and nobody who signs in.
func (s *Schema) Descriptors() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		imports := file.Imports()
		for i := range imports.Len() {
			add(imports.Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(optionsv1.File_ashlar_options_v1_access_proto)
	add(s.service)

	file := set.GetFile()[len(set.GetFile())-1]
	file.Dependency = append(file.Dependency, optionsv1.File_ashlar_options_v1_access_proto.Path())
	for _, service := range file.GetService() {
		for _, method := range service.GetMethod() {
			options := &descriptorpb.MethodOptions{}
			proto.Merge(options, method.GetOptions())
			proto.SetExtension(options, optionsv1.E_Access, &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}})
			method.Options = options
		}
	}
	return set
}
