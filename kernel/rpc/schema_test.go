package rpc_test

import (
	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb" // the messages of the schema

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// The schema of the service that the tests call. It is made by hand, because no generated service has methods of all
// four shapes.
//
//	service OrderService {
//	  rpc Get(StringValue) returns (StringValue)               public
//	  rpc Place(Order) returns (StringValue)                   public
//	  rpc Count(Int64Value) returns (stream Int64Value)        public
//	  rpc Sum(stream Int64Value) returns (Int64Value)          public
//	  rpc Chat(stream StringValue) returns (stream StringValue) public
//	  rpc WhoAmI(StringValue) returns (StringValue)            authenticated
//	  rpc Inside(StringValue) returns (StringValue)            internal
//	}
//	message Order { string id = 1 [min_len: 3]; Int64 amount = 2 [gt: 0]; }
//	service LawlessService { rpc Get, Steal (StringValue) returns (StringValue) }  without rules
var schema = newSchema()

const (
	text   = ".google.protobuf.StringValue"
	number = ".google.protobuf.Int64Value"
)

var (
	get    = specOf("OrderService", "Get", connect.StreamTypeUnary)
	place  = specOf("OrderService", "Place", connect.StreamTypeUnary)
	count  = specOf("OrderService", "Count", connect.StreamTypeServer)
	sum    = specOf("OrderService", "Sum", connect.StreamTypeClient)
	chat   = specOf("OrderService", "Chat", connect.StreamTypeBidi)
	whoAmI = specOf("OrderService", "WhoAmI", connect.StreamTypeUnary)
	inside = specOf("OrderService", "Inside", connect.StreamTypeUnary)
)

func specOf(service, method protoreflect.Name, streamType connect.StreamType) connect.Spec {
	descriptor := schema.Services().ByName(service).Methods().ByName(method)
	return connect.Spec{
		StreamType: streamType, Schema: descriptor, Procedure: "/acme.orders.v1." + string(service) + "/" + string(method),
	}
}

// order returns a message that is to be validated.
func order(id string, amount int64) *dynamicpb.Message {
	m := dynamicpb.NewMessage(schema.Messages().ByName("Order"))
	m.Set(m.Descriptor().Fields().ByName("id"), protoreflect.ValueOfString(id))
	m.Set(m.Descriptor().Fields().ByName("amount"), protoreflect.ValueOfInt64(amount))
	return m
}

func newSchema() protoreflect.FileDescriptor {
	public := &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}}
	file := &descriptorpb.FileDescriptorProto{
		Name: new("acme/orders/v1/order.proto"), Package: new("acme.orders.v1"), Syntax: new("proto3"),
		Dependency: []string{"ashlar/options/v1/access.proto", "buf/validate/validate.proto", "google/protobuf/wrappers.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("Order"), Field: []*descriptorpb.FieldDescriptorProto{
			field("id", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, &validate.FieldRules{
				Type: &validate.FieldRules_String_{String_: &validate.StringRules{MinLen: new(uint64(3))}},
			}),
			field("amount", 2, descriptorpb.FieldDescriptorProto_TYPE_INT64, &validate.FieldRules{
				Type: &validate.FieldRules_Int64{Int64: &validate.Int64Rules{GreaterThan: &validate.Int64Rules_Gt{Gt: 0}}},
			}),
		}}},
		Service: []*descriptorpb.ServiceDescriptorProto{
			{Name: new("OrderService"), Method: []*descriptorpb.MethodDescriptorProto{
				method("Get", text, text, public),
				method("Place", ".acme.orders.v1.Order", text, public),
				streaming(method("Count", number, number, public), false, true),
				streaming(method("Sum", number, number, public), true, false),
				streaming(method("Chat", text, text, public), true, true),
				method("WhoAmI", text, text, &optionsv1.Access{Rule: &optionsv1.Access_Authenticated{Authenticated: true}}),
				method("Inside", text, text, &optionsv1.Access{Rule: &optionsv1.Access_Internal{Internal: true}}),
			}},
			{Name: new("LawlessService"), Method: []*descriptorpb.MethodDescriptorProto{
				method("Get", text, text, nil), method("Steal", text, text, nil),
			}},
		},
	}
	descriptor, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return descriptor
}

func field(name string, n int32, kind descriptorpb.FieldDescriptorProto_Type, rules *validate.FieldRules) *descriptorpb.FieldDescriptorProto {
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, validate.E_Field, rules)
	return &descriptorpb.FieldDescriptorProto{
		Name: new(name), Number: new(n), Type: kind.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Options: options,
	}
}

func method(name, input, output string, access *optionsv1.Access) *descriptorpb.MethodDescriptorProto {
	m := &descriptorpb.MethodDescriptorProto{Name: new(name), InputType: new(input), OutputType: new(output)}
	if access != nil {
		m.Options = &descriptorpb.MethodOptions{}
		proto.SetExtension(m.GetOptions(), optionsv1.E_Access, access)
	}
	return m
}

func streaming(m *descriptorpb.MethodDescriptorProto, client, server bool) *descriptorpb.MethodDescriptorProto {
	m.ClientStreaming, m.ServerStreaming = new(client), new(server)
	return m
}
