package access_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// rules are the options of the methods that the tests call.
var (
	public        = &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}}
	authenticated = &optionsv1.Access{Rule: &optionsv1.Access_Authenticated{Authenticated: true}}
	internal      = &optionsv1.Access{Rule: &optionsv1.Access_Internal{Internal: true}}
	everywhere    = &optionsv1.Access{Rule: &optionsv1.Access_Permission{Permission: "notes.note.read"}}
)

func within(field string) *optionsv1.Access {
	return &optionsv1.Access{Rule: everywhere.GetRule(), OrganizationField: field}
}

// service makes a service with one method for each option, by the method's name; all have the same request:
//
//	message Request {
//	  string organization_id = 1; Note note = 2; repeated string list = 3; int64 number = 4;
//	}
//	message Note { string organization_id = 1; Request deeper = 2; }
func service(t testing.TB, options map[string]*optionsv1.Access) protoreflect.ServiceDescriptor {
	t.Helper()
	const request = ".acme.notes.v1.Request"
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, message string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: new(name), Number: new(number), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if message != "" {
			f.TypeName = new(message)
		}
		return f
	}
	list := field("list", 3, descriptorpb.FieldDescriptorProto_TYPE_STRING, "")
	list.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	file := &descriptorpb.FileDescriptorProto{
		Name: new("acme/notes/v1/note.proto"), Package: new("acme.notes.v1"), Syntax: new("proto3"),
		Dependency: []string{"ashlar/options/v1/access.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: new("Request"), Field: []*descriptorpb.FieldDescriptorProto{
				field("organization_id", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, ""),
				field("note", 2, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".acme.notes.v1.Note"),
				list,
				field("number", 4, descriptorpb.FieldDescriptorProto_TYPE_INT64, ""),
			}},
			{Name: new("Note"), Field: []*descriptorpb.FieldDescriptorProto{
				field("organization_id", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, ""),
				field("deeper", 2, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, request),
			}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("NoteService")}},
	}
	for name, access := range options {
		m := &descriptorpb.MethodDescriptorProto{Name: new(name), InputType: new(request), OutputType: new(request)}
		if access != nil {
			m.Options = &descriptorpb.MethodOptions{}
			proto.SetExtension(m.GetOptions(), optionsv1.E_Access, access)
		}
		if strings.HasSuffix(name, "Stream") {
			m.ClientStreaming, m.ServerStreaming = new(true), new(true)
		}
		file.Service[0].Method = append(file.Service[0].Method, m)
	}
	descriptor, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	require.NoError(t, err)
	return descriptor.Services().Get(0)
}

// spec describes a method.
func spec(method protoreflect.MethodDescriptor) connect.Spec {
	s := connect.Spec{Schema: method, Procedure: "/acme.notes.v1.NoteService/" + string(method.Name())}
	if method.IsStreamingClient() {
		s.StreamType = connect.StreamTypeBidi
	}
	return s
}

// request returns a request; the path of a field is its names with dots.
func request(method protoreflect.MethodDescriptor, fields map[string]string) *dynamicpb.Message {
	m := dynamicpb.NewMessage(method.Input())
	for path, value := range fields {
		at, names := m.ProtoReflect(), strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			at = at.Mutable(at.Descriptor().Fields().ByName(protoreflect.Name(name))).Message()
		}
		at.Set(at.Descriptor().Fields().ByName(protoreflect.Name(names[len(names)-1])), protoreflect.ValueOfString(value))
	}
	return m
}
