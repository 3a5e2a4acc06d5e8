package modulecheck

import (
	"errors"
	"slices"
	"strings"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/nearest"
)

// Manifests compares manifests with each other: names and RPC services that two of them have, dependencies on a module
// that is not there, on a version that it has not, or in a circle, and roles that name what no module declares. The
// findings are in the order of their places.
func Manifests(manifests []*manifest.Manifest) finding.List {
	found := unresolved(manifests)
	listed := map[string]*manifest.Manifest{}
	var patterns []string
	for _, m := range manifests {
		patterns = append(patterns, manifest.Patterns(m.Permissions)...)
	}
	for _, m := range manifests {
		for i, name := range m.Services {
			at := m.Place(index("services", i))
			if other, twice := listed[name]; twice {
				found.Addf(at, "the RPC service %s is listed by %s already", name, other.Name)
			}
			listed[name] = m
		}
		roles(m, patterns, &found)
	}
	found.Sort()
	return found
}

// unresolved returns why there is no order in which the modules could start.
func unresolved(manifests []*manifest.Manifest) finding.List {
	_, err := manifest.Resolve(manifests, manifest.Rules{})
	found, _ := errors.AsType[finding.List](err) // Resolve returns no other
	return found
}

// roles looks at what roles name of other modules; each module's own was looked at when its manifest was read.
func roles(m *manifest.Manifest, patterns []string, found *finding.List) {
	for i, role := range m.Roles {
		for j, pattern := range role.Permissions {
			if pattern == "*" || strings.HasPrefix(pattern, m.Name+".") || slices.Contains(patterns, pattern) {
				continue
			}
			found.Suggestf(m.Place(index(index("roles", i)+".permissions", j)), nearest.To(pattern, patterns...),
				"the role %s has %q, which matches no permission of any module", role.Name, pattern)
		}
	}
}
