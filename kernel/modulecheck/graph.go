package modulecheck

import (
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
	var found finding.List
	byName := unique(manifests, &found)
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
		dependencies(m, byName, &found)
		roles(m, patterns, &found)
	}
	cycles(manifests, byName, &found)
	found.Sort()
	return found
}

// unique returns the manifests by name.
func unique(manifests []*manifest.Manifest, found *finding.List) map[string]*manifest.Manifest {
	byName := map[string]*manifest.Manifest{}
	for _, m := range manifests {
		if other, twice := byName[m.Name]; twice {
			found.Addf(m.Place("name"), "the module %s is there twice: see %s", m.Name, other.Place("name"))
			continue
		}
		byName[m.Name] = m
	}
	return byName
}

func dependencies(m *manifest.Manifest, byName map[string]*manifest.Manifest, found *finding.List) {
	for i, d := range m.DependsOn {
		at := m.Place(index("dependsOn", i))
		other, ok := byName[d.Name]
		switch {
		case !ok:
			found.Suggestf(at, nearest.To(d.Name, names(byName)...), "%s depends on %s, and there is no such module", m.Name, d.Name)
		case !d.Requirement.Allows(other.Version):
			found.Addf(at, "%s depends on %s, which has version %s here", m.Name, d, other.Version)
		}
	}
}

func names(byName map[string]*manifest.Manifest) []string {
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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

// cycles finds dependencies that lead back to where they began. Of circles that share modules, one may be found only when
// another is mended.
func cycles(manifests []*manifest.Manifest, byName map[string]*manifest.Manifest, found *finding.List) {
	done := map[string]bool{}
	var path []string
	var visit func(m *manifest.Manifest)
	visit = func(m *manifest.Manifest) {
		path = append(path, m.Name)
		for i, d := range m.DependsOn {
			if start := slices.Index(path, d.Name); start >= 0 && d.Name != m.Name {
				circle := append(slices.Clone(path[start:]), d.Name)
				found.Addf(m.Place(index("dependsOn", i)), "modules depend on each other in a circle: %s", strings.Join(circle, " -> "))
				continue
			}
			if next, ok := byName[d.Name]; ok && !done[d.Name] {
				visit(next)
			}
		}
		path = path[:len(path)-1]
		done[m.Name] = true
	}
	for _, m := range manifests {
		if !done[m.Name] {
			visit(m)
		}
	}
}
