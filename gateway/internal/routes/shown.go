package routes

import (
	"slices"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// shownWith returns the schemas of a module with what only an older version has, so that whoever asks for a file or a service
// sees all that can be called. Of what both have it is the newer one's. Schemas that cannot be put together stay apart.
func shownWith(newer, older *protoregistry.Files) *protoregistry.Files {
	if newer == nil || older == nil {
		return newer
	}
	files := map[string]*descriptorpb.FileDescriptorProto{}
	newer.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		files[file.Path()] = protodesc.ToFileDescriptorProto(file)
		return true
	})
	known := func(scope, name string) bool {
		_, err := newer.FindDescriptorByName(protoreflect.FullName(scope).Append(protoreflect.Name(name)))
		return err == nil
	}
	older.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		more := protodesc.ToFileDescriptorProto(file)
		if into := files[file.Path()]; into == nil {
			files[file.Path()] = more
		} else {
			addFile(into, more, known)
		}
		return true
	})
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range files {
		set.File = append(set.File, file)
	}
	all, err := protodesc.NewFiles(set)
	if err != nil {
		return newer
	}
	return all
}

// addFile adds what is not known to a file, and imports what that needs.
func addFile(into, more *descriptorpb.FileDescriptorProto, known func(scope, name string) bool) {
	before := len(into.GetMessageType()) + len(into.GetEnumType())
	pkg := more.GetPackage()
	for _, message := range more.GetMessageType() {
		if !known(pkg, message.GetName()) {
			into.MessageType = append(into.MessageType, message)
		}
	}
	for _, enum := range more.GetEnumType() {
		if !known(pkg, enum.GetName()) {
			into.EnumType = append(into.EnumType, enum)
		}
	}
	for _, service := range more.GetService() {
		at := slices.IndexFunc(into.GetService(), func(s *descriptorpb.ServiceDescriptorProto) bool { return s.GetName() == service.GetName() })
		if at < 0 {
			into.Service = append(into.Service, service)
		} else { // those of both have been taken from the older one
			into.Service[at].Method = append(into.Service[at].Method, service.GetMethod()...)
		}
	}
	if len(more.GetService()) == 0 && len(into.GetMessageType())+len(into.GetEnumType()) == before {
		return
	}
	for _, path := range more.GetDependency() {
		if !slices.Contains(into.GetDependency(), path) {
			into.Dependency = append(into.Dependency, path)
		}
	}
}
