package main

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// The procedures that are measured. All ask for an access token.
const (
	benchService    = "acme.bench.v1.BenchService"
	echoProcedure   = "/acme.bench.v1.BenchService/Echo"
	streamProcedure = "/acme.bench.v1.BenchService/Stream"
	idleProcedure   = "/acme.bench.v1.BenchService/Idle"
)

// manifest is what a service of the benchmark says about itself.
type manifest struct {
	name     string
	services []string
	schema   *descriptorpb.FileDescriptorSet
}

func benchSchema() *descriptorpb.FileDescriptorSet {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, optionsv1.E_Access, &optionsv1.Access{Rule: &optionsv1.Access_Authenticated{Authenticated: true}})
	method := func(name string, server bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: new(".google.protobuf.Struct"), OutputType: new(".google.protobuf.Struct"),
			ServerStreaming: new(server), Options: options,
		}
	}
	return withImports(optionsv1.File_ashlar_options_v1_access_proto, structpb.File_google_protobuf_struct_proto).add(&descriptorpb.FileDescriptorProto{
		Name: new("acme/bench/v1/bench.proto"), Package: new("acme.bench.v1"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/struct.proto", "ashlar/options/v1/access.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("BenchService"), Method: []*descriptorpb.MethodDescriptorProto{method("Echo", false), method("Stream", true), method("Idle", true)},
		}},
	})
}

// publicService is one of many services that anybody may call, and its procedure.
func publicService(number int) (m manifest, procedure string) {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, optionsv1.E_Access, &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}})
	pkg := fmt.Sprintf("acme.bench%d.v1", number)
	schema := withImports(optionsv1.File_ashlar_options_v1_access_proto, structpb.File_google_protobuf_struct_proto).add(&descriptorpb.FileDescriptorProto{
		Name: new(fmt.Sprintf("acme/bench%d/v1/bench.proto", number)), Package: new(pkg), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/struct.proto", "ashlar/options/v1/access.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("BenchService"), Method: []*descriptorpb.MethodDescriptorProto{{
				Name: new("Echo"), InputType: new(".google.protobuf.Struct"), OutputType: new(".google.protobuf.Struct"), Options: options,
			}},
		}},
	})
	service := pkg + ".BenchService"
	return manifest{name: fmt.Sprintf("bench%d", number), services: []string{service}, schema: schema}, "/" + service + "/Echo"
}

func authSchema() *descriptorpb.FileDescriptorSet {
	return withImports(authv1.File_ashlar_auth_v1_key_proto).FileDescriptorSet
}

type files struct {
	*descriptorpb.FileDescriptorSet
}

func (f files) add(file *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorSet {
	f.File = append(f.File, file)
	return f.FileDescriptorSet
}

// withImports returns files after what they import.
func withImports(roots ...protoreflect.FileDescriptor) files {
	set := &descriptorpb.FileDescriptorSet{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if slices.ContainsFunc(set.GetFile(), func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.Path() }) {
			return
		}
		imports := file.Imports()
		for i := range imports.Len() {
			add(imports.Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	for _, root := range roots {
		add(root)
	}
	return files{set}
}

// A service that nobody calls has RPC services of so many methods each.
const (
	routesMethods  = 100
	routesServices = 10
	routesEach     = routesMethods * routesServices
)

// routesManifest is that of a service that nobody calls.
func routesManifest(name string) manifest {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, optionsv1.E_Access, &optionsv1.Access{Rule: &optionsv1.Access_Authenticated{Authenticated: true}})
	out := manifest{name: name}
	file := &descriptorpb.FileDescriptorProto{
		Name: new("acme/" + name + "/v1/routes.proto"), Package: new("acme." + name + ".v1"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/struct.proto", "ashlar/options/v1/access.proto"},
	}
	for i := range routesServices {
		service := &descriptorpb.ServiceDescriptorProto{Name: new(fmt.Sprintf("Routes%dService", i))}
		for j := range routesMethods {
			service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
				Name: new(fmt.Sprintf("Method%d", j)), InputType: new(".google.protobuf.Struct"), OutputType: new(".google.protobuf.Struct"), Options: options,
			})
		}
		file.Service = append(file.Service, service)
		out.services = append(out.services, file.GetPackage()+"."+service.GetName())
	}
	out.schema = withImports(optionsv1.File_ashlar_options_v1_access_proto, structpb.File_google_protobuf_struct_proto).add(file)
	return out
}
