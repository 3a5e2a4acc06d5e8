package routes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// without returns what a version offers beside the procedures that newer ones have, by its own schemas.
func (m *Module) without(newer map[string][]*Route) *Module {
	left := map[string]bool{}
	out := *m
	out.routes = slices.DeleteFunc(slices.Clone(m.routes), func(r *Route) bool {
		left[r.Procedure] = newer[r.Procedure] == nil
		return !left[r.Procedure]
	})
	out.callable = slices.DeleteFunc(slices.Clone(m.callable), func(service string) bool {
		return !slices.ContainsFunc(out.routes, func(r *Route) bool { return strings.HasPrefix(r.Procedure, "/"+service+"/") })
	})
	out.rewrite(func(file *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
		return prune(file, left)
	})
	return &out
}

// yield takes the paths from procedures of an older version where one of them would fit a path of a newer one, too.
func (m *Module) yield(newer []Binding) {
	lost := map[string]bool{}
	for _, service := range m.RPCServices() {
		bindings, err := bindingsOf(service)
		if err != nil {
			return // as bind will find, too
		}
		for _, b := range bindings {
			lost[b.Procedure] = lost[b.Procedure] || slices.ContainsFunc(newer, b.collides)
		}
	}
	m.rewrite(func(file *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
		for _, service := range file.GetService() {
			name := strings.TrimPrefix(file.GetPackage()+"."+service.GetName(), ".")
			for _, method := range service.GetMethod() {
				if lost["/"+name+"/"+method.GetName()] {
					proto.ClearExtension(method.GetOptions(), annotations.E_Http)
				}
			}
		}
		return file
	})
}

// rewrite changes the schemas. What makes no sense afterwards is not there.
func (m *Module) rewrite(change func(*descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto) {
	if m.files == nil {
		return
	}
	set := &descriptorpb.FileDescriptorSet{}
	m.files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		set.File = append(set.File, change(protodesc.ToFileDescriptorProto(file)))
		return true
	})
	var err error
	if m.files, err = protodesc.NewFiles(set); err != nil {
		m.files, m.callable = nil, nil
	}
}

// bindOlder binds what only older versions have. Where a path would fit a newer one's, too, the newer one has it.
func (m *Module) bindOlder(check func([]protoreflect.ServiceDescriptor, *protoregistry.Files) error) error {
	var errs []error
	taken := slices.Clone(m.bindings)
	for _, older := range m.older {
		older.yield(taken)
		if err := older.bind(check); err != nil {
			errs = append(errs, fmt.Errorf("version %s: %w", older.instances, err))
		}
		taken = append(taken, older.bindings...)
	}
	m.paths = taken
	return errors.Join(errs...)
}
