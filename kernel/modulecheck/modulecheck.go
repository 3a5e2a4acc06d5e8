// Package modulecheck compares the manifests of a platform's modules with each other and with the schemas of their RPCs,
// before any of them runs: what a rule asks for must be declared, what is declared must be used, and nobody may depend
// on what is not there. It reads no files and must not know where they come from.
package modulecheck

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/nearest"
)

// index returns the path of an item of a list.
func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// Rules compares access rules with manifests: RPCs without a rule or with one that means nothing, and permissions that no
// module declares. All places are in schemas, in their order.
func Rules(manifests []*manifest.Manifest, schemas *Schemas) finding.List {
	var found finding.List
	declared := declarations(manifests)
	known := slices.Sorted(maps.Keys(declared))
	for _, method := range schemas.methods() {
		rule, err := access.RuleOf(method)
		switch {
		case err != nil:
			found.Addf(schemas.place(method, fieldOptions, fieldAccess, fieldOrganizationField), "%v", err)
		case rule.Kind != access.Permission:
		case !manifest.ValidPermission(rule.Permission):
			found.Addf(schemas.place(method, fieldOptions, fieldAccess, fieldPermission),
				"%s: access rule: %q is no permission: want module.resource.action; wildcards are for roles only", method.FullName(), rule.Permission)
		case declared[rule.Permission] == nil:
			found.Suggestf(schemas.place(method, fieldOptions, fieldAccess, fieldPermission), nearest.To(rule.Permission, known...),
				"%s: access rule: no module.yaml declares the permission %q", method.FullName(), rule.Permission)
		}
	}
	for _, service := range schemas.services() {
		name := string(service.FullName())
		if slices.Contains(noModules(), name) || slices.ContainsFunc(manifests, lists(name)) {
			continue
		}
		at := schemas.place(service)
		if m := owner(manifests, service.ParentFile().Package()); m != nil {
			found.Addf(at, "the RPC service %s is not listed under `services` in %s, where others of its package are", name, m.Place("services"))
		} else {
			found.Addf(at, "no module.yaml lists the RPC service %s under `services`", name)
		}
	}
	found.Sort()
	return found
}

func declarations(manifests []*manifest.Manifest) map[string]*manifest.Manifest {
	declared := map[string]*manifest.Manifest{}
	for _, m := range manifests {
		for _, p := range m.Permissions {
			declared[p.ID] = m
		}
	}
	return declared
}

func lists(service string) func(*manifest.Manifest) bool {
	return func(m *manifest.Manifest) bool { return slices.Contains(m.Services, service) }
}

// owner returns the manifest that lists a service of a package; nil where there is none.
func owner(manifests []*manifest.Manifest, pkg protoreflect.FullName) *manifest.Manifest {
	for _, m := range manifests {
		for _, service := range m.Services {
			if protoreflect.FullName(service).Parent() == pkg {
				return m
			}
		}
	}
	return nil
}

// Declarations compares manifests with schemas: RPC services without a schema, permissions that nothing asks for, and
// aliases of RPCs that cannot answer them. All places are in manifests, in their order.
func Declarations(manifests []*manifest.Manifest, schemas *Schemas) finding.List {
	var found finding.List
	services := map[string]protoreflect.ServiceDescriptor{}
	for _, service := range schemas.services() {
		services[string(service.FullName())] = service
	}
	known := slices.Sorted(maps.Keys(services))
	needed := schemas.NeededBy()
	for _, m := range manifests {
		for i, name := range m.Services {
			if services[name] == nil {
				found.Suggestf(m.Place(index("services", i)), nearest.To(name, known...), "no schema defines the RPC service %s", name)
			}
		}
		for i, p := range m.Permissions {
			at := m.Place(index("permissions", i) + ".id")
			procedures := needed[p.ID]
			switch {
			case p.CheckedBy == manifest.ByRule && len(procedures) == 0:
				found.Addf(at, "no RPC needs the permission %s: take it away, or say `checkedBy: code` if the service asks for it itself", p.ID)
			case p.CheckedBy == manifest.ByCode && len(procedures) > 0:
				found.Addf(m.Place(index("permissions", i)+".checkedBy"), "%s needs the permission %s by its access rule: take `checkedBy: code` away", procedures[0], p.ID)
			}
		}
		for _, path := range slices.Sorted(maps.Keys(m.Gateway.Aliases)) {
			procedure := m.Gateway.Aliases[path]
			if problem := unanswerable(procedure, m, services); problem != "" {
				found.Addf(m.Place("gateway.aliases["+path+"]"), "%s cannot answer for %s: %s", procedure, path, problem)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m.Gateway.Procedures)) {
			at := "gateway.procedures[" + name + "]"
			method, problem := called(name, m, services)
			policy := m.Gateway.Procedures[name]
			switch {
			case problem != "":
				found.Addf(m.Place(at), "%s cannot be called through the gateway: %s", name, problem)
			case policy.Timeout > 0 && streams(method):
				found.Addf(m.Place(at+".timeout"), "%s streams, and time-outs are for unary RPCs", name)
			case policy.StreamLimit != nil && !streams(method):
				found.Addf(m.Place(at+".streamLimit"), "%s does not stream: a message of it is bounded by its size", name)
			case policy.HedgeAfter > 0 && (streams(method) || !sideEffectFree(method)):
				found.Addf(m.Place(at+".hedgeAfter"), "%s is asked of one instance only: hedgeAfter is for unary RPCs with idempotency_level NO_SIDE_EFFECTS", name)
			}
		}
	}
	found.Sort()
	return found
}

// unanswerable says why an RPC cannot answer for a path: "" where it can.
func unanswerable(procedure string, m *manifest.Manifest, services map[string]protoreflect.ServiceDescriptor) string {
	method, problem := called(procedure, m, services)
	if problem != "" {
		return problem
	}
	if !sideEffectFree(method) {
		return "its idempotency_level is not NO_SIDE_EFFECTS"
	}
	if streams(method) {
		return "it streams"
	}
	return ""
}

// called returns the method of a procedure of a module that callers from outside may name, or says why there is none.
func called(procedure string, m *manifest.Manifest, services map[string]protoreflect.ServiceDescriptor) (_ protoreflect.MethodDescriptor, problem string) {
	name, method, _ := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	if !slices.Contains(m.Services, name) {
		return nil, "this module does not list the RPC service " + name
	}
	service := services[name]
	if service == nil {
		return nil, "no schema defines it"
	}
	descriptor := service.Methods().ByName(protoreflect.Name(method))
	if descriptor == nil {
		return nil, name + " has no such method"
	}
	if rule, err := access.RuleOf(descriptor); err == nil && rule.Kind == access.Internal {
		return nil, "it is internal"
	}
	return descriptor, ""
}

func streams(method protoreflect.MethodDescriptor) bool {
	return method.IsStreamingClient() || method.IsStreamingServer()
}

// All is all that there is to find, in the order of the places.
func All(manifests []*manifest.Manifest, schemas *Schemas) finding.List {
	found := slices.Concat(Manifests(manifests), Rules(manifests, schemas), Declarations(manifests, schemas))
	found.Sort()
	return found
}

// noModules are the RPC services that no manifest lists: those of every service, and the one by which a platform that
// runs on this machine takes orders, which is on no network.
func noModules() []string {
	return append(manifest.Infrastructure(), "ashlar.local.v1.SupervisorService")
}

func sideEffectFree(method protoreflect.MethodDescriptor) bool {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}
