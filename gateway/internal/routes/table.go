package routes

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Table says what goes where. It is immutable: a change makes a new one.
type Table struct {
	routes   map[string]*Route
	aliases  map[string]*Route
	modules  []*Module // with older versions, newer ones first, each with what newer ones have not
	services []string
}

// NewTable returns the table of what the gateway itself serves and of modules, which must not conflict.
func NewTable(own []*Route, modules ...*Module) *Table {
	t := &Table{routes: map[string]*Route{}, aliases: map[string]*Route{}}
	for _, route := range own {
		t.routes[route.Procedure] = route
	}
	for _, m := range modules {
		for _, route := range m.routes {
			t.routes[route.Procedure] = route
		}
		maps.Copy(t.aliases, m.aliases)
		t.services = append(t.services, m.callable...)
		t.modules = append(append(t.modules, m), m.older...)
	}
	slices.Sort(t.services)
	return t
}

// Route returns the route of a procedure; nil where there is none. The name must match to the letter.
func (t *Table) Route(procedure string) *Route { return t.routes[procedure] }

// Alias returns the route that a well-known path stands for; nil where there is none.
func (t *Table) Alias(path string) *Route { return t.aliases[path] }

// Procedures is the number of procedures that can be called, the gateway's own included.
func (t *Table) Procedures() int { return len(t.routes) }

// Modules returns what the table was made of, besides the gateway itself.
func (t *Table) Modules() []*Module { return t.modules }

// Services returns the names of the RPC services that can be called through the gateway, sorted, without its own.
func (t *Table) Services() []string { return t.services }

// HasService tells whether an RPC service can be called through the gateway.
func (t *Table) HasService(name string) bool {
	_, ok := slices.BinarySearch(t.services, name)
	return ok
}

// FindFileByPath implements protodesc.Resolver over the schemas of all that can be called.
func (t *Table) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	for _, m := range t.modules {
		if m.files == nil {
			continue
		}
		if file, err := m.files.FindFileByPath(path); err == nil {
			return file, nil
		}
	}
	return nil, protoregistry.NotFound
}

// FindDescriptorByName implements protodesc.Resolver.
func (t *Table) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for _, m := range t.modules {
		if m.files == nil {
			continue
		}
		if descriptor, err := m.files.FindDescriptorByName(name); err == nil {
			return descriptor, nil
		}
	}
	return nil, protoregistry.NotFound
}

// FindExtensionByName implements protoregistry.ExtensionTypeResolver.
func (t *Table) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	for _, m := range t.modules {
		if extension, err := m.types.FindExtensionByName(name); err == nil {
			return extension, nil
		}
	}
	return nil, protoregistry.NotFound
}

// FindExtensionByNumber implements protoregistry.ExtensionTypeResolver.
func (t *Table) FindExtensionByNumber(message protoreflect.FullName, number protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	for _, m := range t.modules {
		if extension, err := m.types.FindExtensionByNumber(message, number); err == nil {
			return extension, nil
		}
	}
	return nil, protoregistry.NotFound
}

// RangeExtensionsByMessage calls f for each extension of a message, once for each number, until f returns false.
func (t *Table) RangeExtensionsByMessage(message protoreflect.FullName, f func(protoreflect.ExtensionType) bool) {
	seen := map[protoreflect.FieldNumber]bool{}
	more := true
	for _, m := range t.modules {
		m.types.RangeExtensionsByMessage(message, func(extension protoreflect.ExtensionType) bool {
			if number := extension.TypeDescriptor().Number(); !seen[number] {
				seen[number] = true
				more = f(extension)
			}
			return more
		})
		if !more {
			return
		}
	}
}
