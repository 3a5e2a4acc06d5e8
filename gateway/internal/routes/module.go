package routes

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"ashlar.dev/gateway/internal/overload"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/access"
)

// wellKnown is where aliases live (RFC 8615).
const wellKnown = "/.well-known/"

// infrastructure holds the packages whose RPC services every process has for itself; no manifest can claim them.
var infrastructure = []string{"ashlar.kernel.", "grpc."}

// Module is what one service of the platform offers, understood and checked. It is not changed once it is in a table.
type Module struct {
	// Service is the name in discovery.
	Service string
	// Version is that of the manifest.
	Version string
	// Exposed is what the manifest says about it.
	Exposed bool

	// instances is what discovery calls the version.
	instances string
	// older are the other versions of the service that are there, newest first, each with what newer ones have not.
	older []*Module
	// load is what is known of how busy the service is; all its versions have the same.
	load *overload.Service

	internal []string
	claims   []string
	callable []string
	routes   []*Route
	aliases  map[string]*Route
	files    *protoregistry.Files
	// shown are the files with what only older versions have.
	shown    *protoregistry.Files
	types    *protoregistry.Types
	bindings []Binding
	// paths are the bindings of older versions, too.
	paths []Binding
}

// NewModule reads what the named service answered about itself; load is what is known of how busy it is. It fails, and
// nothing of the service is taken, where the answer is about another service, claims infrastructure, lacks a schema or an
// access rule, or has an alias that could do more than read what is public.
func NewModule(service string, load *overload.Service, response *kernelv1.GetManifestResponse) (*Module, error) {
	manifest := response.GetManifest()
	if manifest.GetName() != service {
		return nil, fmt.Errorf("the manifest is of %q", manifest.GetName())
	}
	descriptors := response.GetDescriptors()
	if descriptors == nil {
		descriptors = &descriptorpb.FileDescriptorSet{} // protodesc takes no nil, and anybody could send it
	}
	files, err := protodesc.NewFiles(descriptors)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	m := &Module{
		Service: service, Version: manifest.GetVersion(), Exposed: manifest.GetGateway().GetExpose(), claims: slices.Sorted(slices.Values(manifest.GetServices())),
		aliases: map[string]*Route{}, types: new(protoregistry.Types), load: load,
	}
	var errs []error
	for _, name := range m.claims {
		errs = append(errs, m.addService(name, files, manifest.GetGateway(), load))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !m.Exposed {
		m.routes, m.callable = nil, nil
	}
	if err := m.addProcedures(manifest.GetGateway().GetProcedures()); err != nil {
		return nil, err
	}
	if err := m.addAliases(manifest.GetGateway().GetAliases()); err != nil {
		return nil, err
	}
	if err := m.describe(descriptors); err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	return m, nil
}

// Conflict returns what both modules claim, an RPC service or an alias; "" where they can live side by side.
func (m *Module) Conflict(other *Module) string {
	for _, name := range m.claims {
		if slices.Contains(other.claims, name) {
			return name
		}
	}
	for path := range m.aliases {
		if _, ok := other.aliases[path]; ok {
			return path
		}
	}
	for _, binding := range m.paths {
		if slices.ContainsFunc(other.paths, binding.collides) {
			return binding.String()
		}
	}
	return ""
}

// Claims returns the RPC services that are the module's, sorted.
func (m *Module) Claims() []string { return m.claims }

// Routes returns what can be called, in the order of the schemas.
func (m *Module) Routes() []*Route { return m.routes }

// Aliases returns the further paths of a route, sorted.
func (m *Module) Aliases(route *Route) []string {
	var out []string
	for path, of := range m.aliases {
		if of == route {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// Load is what is known of how busy the service is.
func (m *Module) Load() *overload.Service { return m.load }

// Internal returns the procedures that only services may call.
func (m *Module) Internal() []string { return m.internal }

// Bindings returns how procedures of the service can be called by REST, without what only older versions have.
func (m *Module) Bindings() []Binding { return m.bindings }

// RPCServices returns the schemas of the RPC services that can be called, without what cannot be.
func (m *Module) RPCServices() []protoreflect.ServiceDescriptor {
	var out []protoreflect.ServiceDescriptor
	for _, name := range m.callable {
		descriptor, err := m.files.FindDescriptorByName(protoreflect.FullName(name))
		if service, ok := descriptor.(protoreflect.ServiceDescriptor); ok && err == nil {
			out = append(out, service)
		}
	}
	return out
}

// Files returns the schemas of what can be called, and all that they import; nil where nothing can be.
func (m *Module) Files() *protoregistry.Files { return m.files }

// Bind reads how procedures of the service can be called by REST, and keeps that if check, too, finds nothing wrong with
// it. It is called at most once, before the module is in a table. What is wrong keeps nobody from calling them as RPCs, and,
// where it is wrong with one version, not those of others from being called by REST.
func (m *Module) Bind(check func([]protoreflect.ServiceDescriptor, *protoregistry.Files) error) error {
	return errors.Join(m.bind(check), m.bindOlder(check))
}

func (m *Module) bind(check func([]protoreflect.ServiceDescriptor, *protoregistry.Files) error) error {
	var all []Binding
	services := m.RPCServices()
	for _, service := range services {
		bindings, err := bindingsOf(service)
		if err != nil {
			return err
		}
		all = append(all, bindings...)
	}
	switch {
	case len(all) == 0:
		return nil
	case len(all) > maxBindings:
		return fmt.Errorf("there are more than %d paths", maxBindings)
	}
	if err := check(services, m.files); err != nil {
		return err
	}
	m.bindings = all
	return nil
}

func (m *Module) addService(name string, files *protoregistry.Files, policy *kernelv1.GatewayPolicy, load *overload.Service) error {
	for _, prefix := range infrastructure {
		if strings.HasPrefix(name, prefix) {
			return fmt.Errorf("%s is infrastructure, which no manifest can claim", name)
		}
	}
	descriptor, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return fmt.Errorf("the descriptors lack %s", name)
	}
	service, ok := descriptor.(protoreflect.ServiceDescriptor)
	if !ok {
		return fmt.Errorf("%s is no RPC service", name)
	}
	quotas, err := quotasOf(m.Service, policy.GetRateLimit())
	if err != nil {
		return err
	}
	before := len(m.routes)
	methods := service.Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		rule, err := access.RuleOf(method)
		if err != nil {
			return err
		}
		if rule.Kind == access.Internal {
			m.internal = append(m.internal, "/"+name+"/"+string(method.Name()))
			continue
		}
		m.routes = append(m.routes, &Route{
			Procedure: "/" + name + "/" + string(method.Name()), Service: m.Service, Access: rule.Kind,
			Stream: streamOf(method), Safe: !method.IsStreamingClient() && sideEffectFree(method),
			Timeout: positive(policy.GetTimeout()), Quotas: quotas, Load: load.Procedure("/" + name + "/" + string(method.Name())),
		})
	}
	if len(m.routes) > before {
		m.callable = append(m.callable, name)
	}
	return nil
}

// addProcedures adds what the manifest says of single procedures.
func (m *Module) addProcedures(policies map[string]*kernelv1.ProcedurePolicy) error {
	for procedure, policy := range policies {
		route, err := m.route(procedure)
		if err != nil {
			return err
		}
		quotas, err := quotasOf(procedure, policy.GetRateLimit())
		if err != nil {
			return err
		}
		if timeout := positive(policy.GetTimeout()); timeout > 0 {
			route.Timeout = timeout
		}
		route.Quotas = slices.Concat(route.Quotas, quotas)
		if limit := policy.GetStreamLimit(); limit != nil {
			if route.Unary() {
				return fmt.Errorf("%s: streamLimit is for RPCs that stream", procedure)
			}
			route.StreamLimit = StreamLimit{Messages: limit.Messages, Bytes: limit.Bytes} // not set is not 0
		}
		route.Priority = priorityOf(policy.GetPriority())
		if route.HedgeAfter = positive(policy.GetHedgeAfter()); route.HedgeAfter > 0 && !route.Get() {
			return fmt.Errorf("%s: hedgeAfter is for unary RPCs without side effects", procedure)
		}
	}
	return nil
}

func (m *Module) addAliases(aliases map[string]string) error {
	for from, procedure := range aliases {
		if !strings.HasPrefix(from, wellKnown) || path.Clean(from) != from {
			return fmt.Errorf("alias %q is no path below %s", from, wellKnown)
		}
		route, err := m.route(procedure)
		if err != nil {
			return fmt.Errorf("alias %s: %w", from, err)
		}
		if !route.Get() || route.Access != access.Public {
			return fmt.Errorf("alias %s: %s is not both public and free of side effects", from, procedure)
		}
		m.aliases[from] = route
	}
	return nil
}

func (m *Module) route(procedure string) (*Route, error) {
	i := slices.IndexFunc(m.routes, func(r *Route) bool { return r.Procedure == procedure })
	if i < 0 {
		return nil, fmt.Errorf("%s cannot be called through the gateway", procedure)
	}
	return m.routes[i], nil
}

// describe keeps the schemas of what can be called, for reflection: without internal methods, so that nobody is shown
// what he cannot call.
func (m *Module) describe(set *descriptorpb.FileDescriptorSet) error {
	if len(m.routes) == 0 {
		return nil
	}
	callable := make(map[string]bool, len(m.routes))
	for _, route := range m.routes {
		callable[route.Procedure] = true
	}
	visible := &descriptorpb.FileDescriptorSet{}
	for _, file := range set.GetFile() {
		visible.File = append(visible.File, prune(file, callable))
	}
	files, err := protodesc.NewFiles(visible)
	if err != nil {
		return err
	}
	m.files, m.shown = files, files
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		err = registerExtensions(m.types, file)
		return err == nil
	})
	return err
}

// quotasOf returns what a manifest says of one caller's requests; nothing where it does not.
func quotasOf(what string, limit *kernelv1.RateLimit) ([]Quota, error) {
	if limit == nil {
		return nil, nil
	}
	per := positive(limit.GetPer())
	if limit.GetRequests() == 0 || limit.GetBurst() == 0 || per == 0 {
		return nil, fmt.Errorf("rate limit of %s: requests, per and burst must be above zero", what)
	}
	return []Quota{{Of: what, Limit: Limit{PerSecond: float64(limit.GetRequests()) / per.Seconds(), Burst: int(limit.GetBurst())}}}, nil
}

func priorityOf(p kernelv1.Priority) overload.Priority {
	switch p {
	case kernelv1.Priority_PRIORITY_LOW:
		return overload.Low
	case kernelv1.Priority_PRIORITY_HIGH:
		return overload.High
	case kernelv1.Priority_PRIORITY_UNSPECIFIED, kernelv1.Priority_PRIORITY_NORMAL:
	}
	return overload.Normal
}

func streamOf(method protoreflect.MethodDescriptor) connect.StreamType {
	stream := connect.StreamTypeUnary
	if method.IsStreamingClient() {
		stream |= connect.StreamTypeClient
	}
	if method.IsStreamingServer() {
		stream |= connect.StreamTypeServer
	}
	return stream
}

func sideEffectFree(method protoreflect.MethodDescriptor) bool {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// positive returns a duration, or 0 where it is not set or makes no sense.
func positive(d *durationpb.Duration) time.Duration { return max(d.AsDuration(), 0) }
