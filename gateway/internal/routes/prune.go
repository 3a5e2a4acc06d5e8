package routes

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// prune returns a file without the methods that cannot be called, and without the RPC services that have none left.
func prune(file *descriptorpb.FileDescriptorProto, callable map[string]bool) *descriptorpb.FileDescriptorProto {
	if len(file.GetService()) == 0 {
		return file
	}
	pruned := proto.CloneOf(file)
	pruned.SourceCodeInfo = nil // it points at methods by their position
	pruned.Service = nil
	for _, service := range file.GetService() {
		kept := proto.CloneOf(service)
		kept.Method = nil
		prefix := "/" + service.GetName() + "/"
		if file.GetPackage() != "" {
			prefix = "/" + file.GetPackage() + "." + service.GetName() + "/"
		}
		for _, method := range service.GetMethod() {
			if callable[prefix+method.GetName()] {
				kept.Method = append(kept.Method, method)
			}
		}
		if len(kept.GetMethod()) > 0 {
			pruned.Service = append(pruned.Service, kept)
		}
	}
	return pruned
}

// registerExtensions registers the extensions that a file or its messages define.
func registerExtensions(types *protoregistry.Types, scope interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
},
) error {
	extensions := scope.Extensions()
	for i := range extensions.Len() {
		if err := types.RegisterExtension(dynamicpb.NewExtensionType(extensions.Get(i))); err != nil {
			return err
		}
	}
	messages := scope.Messages()
	for i := range messages.Len() {
		if err := registerExtensions(types, messages.Get(i)); err != nil {
			return err
		}
	}
	return nil
}
