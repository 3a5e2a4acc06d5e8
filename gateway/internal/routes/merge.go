package routes

import (
	"cmp"
	"maps"
	"slices"

	"github.com/Masterminds/semver/v3"

	"ashlar.dev/kernel/balance"
)

// At returns the module as what instances of a version offer that goes by this name in discovery.
// It is called once, before anything else is done with the module.
func (m *Module) At(version string) *Module {
	m.instances = version
	versions := &balance.Versions{Names: []string{version}}
	for _, route := range m.routes {
		route.Versions = versions
	}
	return m
}

// Merge returns what the versions of one service offer together, at least one; the newest says how. A procedure that only
// some of them have goes only to these. Where they differ in what they ask of the caller, the stricter holds, and only
// what all of them can be sent with GET can be.
func Merge(versions []*Module) *Module {
	versions = slices.Clone(versions)
	slices.SortFunc(versions, func(a, b *Module) int {
		return cmp.Or(compareVersions(b.Version, a.Version), cmp.Compare(b.instances, a.instances))
	})
	newest := versions[0]
	if len(versions) == 1 {
		return newest
	}
	merged := &Module{
		Service: newest.Service, Version: newest.Version, Exposed: newest.Exposed, instances: newest.instances, aliases: map[string]*Route{},
		files: newest.files, types: newest.types, load: newest.load,
	}
	served := map[string][]*Route{} // by procedure, newest first
	at := map[*Route]string{}
	for i, v := range versions {
		if i > 0 {
			merged.older = append(merged.older, v.without(served))
		}
		merged.claims = union(merged.claims, v.claims)
		merged.callable = union(merged.callable, v.callable)
		merged.internal = union(merged.internal, v.internal)
		for _, route := range v.routes {
			served[route.Procedure] = append(served[route.Procedure], route)
			at[route] = v.instances
		}
	}
	merged.internal = slices.DeleteFunc(merged.internal, func(procedure string) bool { return served[procedure] != nil })
	for _, procedure := range slices.Sorted(maps.Keys(served)) {
		merged.routes = append(merged.routes, mergeRoutes(served[procedure], at, len(versions)))
	}
	for _, v := range slices.Backward(versions) {
		for path, target := range v.aliases {
			i := slices.IndexFunc(merged.routes, func(r *Route) bool { return r.Procedure == target.Procedure })
			merged.aliases[path] = merged.routes[i]
		}
	}
	return merged
}

// mergeRoutes returns the route of a procedure, of which each version that has it has one.
func mergeRoutes(served []*Route, at map[*Route]string, versions int) *Route {
	route := *served[0]
	var names []string
	for _, r := range served {
		route.Access = max(route.Access, r.Access)
		route.Safe = route.Safe && r.Safe
		names = append(names, at[r])
	}
	slices.Sort(names)
	route.Versions = &balance.Versions{Names: names, Only: len(served) < versions}
	return &route
}

// compareVersions compares by Semantic Versioning 2.0.0, section 11; what is no version is older than all that are.
func compareVersions(a, b string) int {
	left, errA := semver.NewVersion(a)
	right, errB := semver.NewVersion(b)
	switch {
	case errA == nil && errB == nil:
		return left.Compare(right)
	case errA == nil:
		return 1
	case errB == nil:
		return -1
	default:
		return cmp.Compare(a, b)
	}
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}
