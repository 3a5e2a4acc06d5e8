package modulecheck

import (
	"fmt"
	"path"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/finding"
)

// Schemas are the protobuf files in which RPCs are defined.
type Schemas struct {
	folder string
	files  []protoreflect.FileDescriptor
}

// ReadSchemas reads descriptors with their source information. Those of the set that own is true for are looked at, by
// their paths; the others are there because these import them. folder is where the paths begin, for the places of findings.
func ReadSchemas(set *descriptorpb.FileDescriptorSet, folder string, own func(path string) bool) (*Schemas, error) {
	// Whoever compiled them may not have known our option. Read again, it is of its Go type.
	data, err := proto.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	again := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(data, again); err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	files, err := protodesc.NewFiles(again)
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	s := &Schemas{folder: folder}
	for _, file := range again.GetFile() {
		if !own(file.GetName()) {
			continue
		}
		descriptor, err := files.FindFileByPath(file.GetName())
		if err != nil {
			return nil, fmt.Errorf("read schemas: %w", err)
		}
		s.files = append(s.files, descriptor)
	}
	return s, nil
}

// services returns all RPC services.
func (s *Schemas) services() []protoreflect.ServiceDescriptor {
	var services []protoreflect.ServiceDescriptor
	for _, file := range s.files {
		for i := range file.Services().Len() {
			services = append(services, file.Services().Get(i))
		}
	}
	return services
}

func (s *Schemas) methods() []protoreflect.MethodDescriptor {
	var methods []protoreflect.MethodDescriptor
	for _, service := range s.services() {
		for i := range service.Methods().Len() {
			methods = append(methods, service.Methods().Get(i))
		}
	}
	return methods
}

// NeededBy returns for each permission the procedures (`/package.Service/Method`) whose access rules name it, in the order
// of their names.
func (s *Schemas) NeededBy() map[string][]string {
	needed := map[string][]string{}
	for _, method := range s.methods() {
		rule, err := access.RuleOf(method)
		if err == nil && rule.Kind == access.Permission {
			needed[rule.Permission] = append(needed[rule.Permission], procedure(method))
		}
	}
	for _, procedures := range needed {
		slices.Sort(procedures)
	}
	return needed
}

func procedure(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

// The field of google.protobuf.MethodDescriptorProto that holds options, and those of ashlar.options.v1.Access.
const (
	fieldOptions           = 4
	fieldAccess            = 50701
	fieldPermission        = 3
	fieldOrganizationField = 5
)

// place is where a descriptor is, or the part of it that is at a path of field numbers below it. Not every compiler tells
// of all parts.
func (s *Schemas) place(d protoreflect.Descriptor, below ...int32) finding.Place {
	file := d.ParentFile()
	place := finding.Place{File: path.Join(s.folder, file.Path())}
	locations := file.SourceLocations()
	at := locations.ByDescriptor(d)
	if at.Path == nil {
		return place
	}
	for n := len(below); n > 0; n-- {
		if part := locations.ByPath(append(slices.Clone(at.Path), below[:n]...)); part.Path != nil {
			at = part
			break
		}
	}
	place.Line, place.Column = at.StartLine+1, at.StartColumn+1
	return place
}
