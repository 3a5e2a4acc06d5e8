package gateway_test

import (
	"log/slog"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
)

var discard = slog.New(slog.DiscardHandler)

// authFiles returns the schema of auth's keys after its imports.
func authFiles() []*descriptorpb.FileDescriptorProto {
	return filesOf(authv1.File_ashlar_auth_v1_key_proto)
}

// filesOf returns a file after all that it imports.
func filesOf(root protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	var out []*descriptorpb.FileDescriptorProto
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		out = append(out, protodesc.ToFileDescriptorProto(file))
	}
	add(root)
	return out
}

// join returns the files of several sets, each once.
func join(sets ...*descriptorpb.FileDescriptorSet) *descriptorpb.FileDescriptorSet {
	out := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, set := range sets {
		for _, file := range set.GetFile() {
			if !seen[file.GetName()] {
				seen[file.GetName()] = true
				out.File = append(out.File, file)
			}
		}
	}
	return out
}
