// Package own holds the RPC services of the gateway itself: reflection over all that can be called through it, so
// that tools need no schema, and grpc.health.v1.
package own

import (
	"net/http"
	"slices"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/health"
)

// Services serves the RPC services of the gateway itself.
type Services struct {
	server *connect.Server
	files  *protoregistry.Files
}

// New returns the services; table is what can be called at the moment. All of them are public.
func New(table func() *routes.Table, status *health.Status, interceptors ...connect.ServerInterceptor) (*Services, error) {
	s := &Services{server: connect.NewServer(interceptors...), files: new(protoregistry.Files)}
	known := schemas{table, s.files}
	grpcreflect.Register(s.server, grpcreflect.WithNamer(known), grpcreflect.WithDescriptorResolver(known),
		grpcreflect.WithExtensionResolver(extensions{table}))
	status.Register(s.server, func(service string) bool { return table().HasService(service) })
	for spec := range s.server.Specs() {
		method, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok {
			continue
		}
		file := method.ParentFile()
		if _, err := s.files.FindFileByPath(file.Path()); err == nil {
			continue
		}
		if err := s.files.RegisterFile(file); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Routes returns the routes of the services.
func (s *Services) Routes() []*routes.Route {
	var out []*routes.Route
	for spec := range s.server.Specs() {
		out = append(out, &routes.Route{Procedure: spec.Procedure, Access: access.Public, Stream: spec.StreamType})
	}
	return out
}

// Handler serves them in all protocols.
func (s *Services) Handler() http.Handler {
	mux := http.NewServeMux()
	connecthttp.Mount(mux, s.server)
	return mux
}

// schemas finds the schemas of the gateway's own services and of all that can be called.
type schemas struct {
	table func() *routes.Table
	own   *protoregistry.Files
}

// Names implements grpcreflect.Namer.
func (s schemas) Names() []string {
	var names []string
	s.own.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			names = append(names, string(file.Services().Get(i).FullName()))
		}
		return true
	})
	names = append(names, s.table().Services()...)
	slices.Sort(names)
	return names
}

// FindFileByPath implements protodesc.Resolver.
func (s schemas) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if file, err := s.own.FindFileByPath(path); err == nil {
		return file, nil
	}
	return s.table().FindFileByPath(path)
}

// FindDescriptorByName implements protodesc.Resolver.
func (s schemas) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if descriptor, err := s.own.FindDescriptorByName(name); err == nil {
		return descriptor, nil
	}
	return s.table().FindDescriptorByName(name)
}

// extensions asks the table of the moment.
type extensions struct{ table func() *routes.Table }

// FindExtensionByName implements grpcreflect.ExtensionResolver.
func (e extensions) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return e.table().FindExtensionByName(name)
}

// FindExtensionByNumber implements grpcreflect.ExtensionResolver.
func (e extensions) FindExtensionByNumber(message protoreflect.FullName, number protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return e.table().FindExtensionByNumber(message, number)
}

// RangeExtensionsByMessage implements grpcreflect.ExtensionResolver.
func (e extensions) RangeExtensionsByMessage(message protoreflect.FullName, f func(protoreflect.ExtensionType) bool) {
	e.table().RangeExtensionsByMessage(message, f)
}
