package routes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"ashlar.dev/gateway/internal/routes"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// notes is what a version of a service with public methods offers.
func notes(t *testing.T, version string, methods ...string) *routes.Module {
	t.Helper()
	service := &descriptorpb.ServiceDescriptorProto{Name: new("NoteService")}
	for _, name := range methods {
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, optionsv1.E_Access, &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}})
		service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: new(".google.protobuf.Empty"), OutputType: new(".google.protobuf.Empty"), Options: options,
		})
	}
	m, err := routes.NewModule("notes", &kernelv1.GetManifestResponse{
		Manifest: &kernelv1.Manifest{
			Name: "notes", Version: version, Services: []string{"a.v1.NoteService"}, Gateway: &kernelv1.GatewayPolicy{Expose: true},
		},
		Descriptors: &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
			protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
			protodesc.ToFileDescriptorProto(emptypb.File_google_protobuf_empty_proto),
			protodesc.ToFileDescriptorProto(optionsv1.File_ashlar_options_v1_access_proto),
			{
				Name: new("a.proto"), Package: new("a.v1"), Syntax: new("proto3"), Service: []*descriptorpb.ServiceDescriptorProto{service},
				Dependency: []string{"google/protobuf/empty.proto", "ashlar/options/v1/access.proto"},
			},
		}},
	})
	require.NoError(t, err)
	return m.At(version)
}

// What is known of the load of a service holds for all versions of it, and is not forgotten when one comes or goes: that
// is when a service is busy.
func TestLoadOutlivesVersions(t *testing.T) {
	t.Parallel()
	before := routes.Merge([]*routes.Module{notes(t, "1.0.0", "Get", "Old")})
	load := before.Routes()[0].Load
	both := routes.Merge([]*routes.Module{notes(t, "1.0.0", "Get", "Old"), notes(t, "2.0.0", "Get", "New")})
	require.Len(t, both.Routes(), 3)
	for _, route := range both.Routes() {
		assert.Same(t, both.Routes()[0].Load.Service(), route.Load.Service(), route.Procedure)
	}

	both.Resume(before)
	for _, route := range both.Routes() {
		assert.Same(t, load.Service(), route.Load.Service(), route.Procedure)
	}
	after := routes.Merge([]*routes.Module{notes(t, "2.0.0", "Get", "New")})
	after.Resume(both)
	at := 0
	for i, route := range after.Routes() {
		if route.Procedure == "/a.v1.NoteService/Get" {
			at = i
		}
	}
	assert.Same(t, load, after.Routes()[at].Load)
}
