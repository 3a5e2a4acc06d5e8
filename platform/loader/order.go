package loader

import (
	"slices"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/policy"
	"ashlar.dev/platform/service"
	"ashlar.dev/platform/trail"
)

// Rules is what services need of each other beside what their manifests say. It is said here for services in one process;
// platformctl/local/platform.go says it for processes, because the command line must not link what opens databases:
//
//   - Every service registers its permissions with authz before it serves, so all start after authz and stop before it.
//   - Every service delivers its events to audit. It can wait with that, and keeps them meanwhile; but one that stops
//     delivers what is left, so audit stops after it. Audit itself and those that it depends on are the exception: of
//     them only the delivery starts after audit and stops before it. What they record after that stays in their
//     outboxes until the next start.
//   - Every service asks auth for the keys of access tokens, but only when the first call comes, and it remembers them for
//     longer than a stop takes. So there is no order between auth and those that it does not depend on.
func Rules() manifest.Rules {
	return manifest.Rules{Needed: []string{policy.Service}, Outlasting: []string{trail.Service}}
}

// order puts the components of a service after those of other services that they need; the rest of them, such as the
// opening of its database, waits for nobody.
func (l *Loader) order(p manifest.Position, components []lifecycle.Component) []lifecycle.Component {
	components = slices.Clone(components)
	find := func(name string) int {
		return slices.IndexFunc(components, func(c lifecycle.Component) bool { return c.Name == name })
	}
	name := p.Manifest.Name
	outbox, dependencies := &components[find(service.Outbox(name))], &components[find(service.Dependencies(name))]
	var ready []string
	for _, before := range p.After {
		ready = append(ready, service.Registration(before))
	}
	if !l.has(trail.Service) || slices.Contains(p.After, trail.Service) {
		// The outbox comes before the dependencies, so this is for both.
		outbox.After = slices.Concat(outbox.After, ready)
		return components
	}
	dependencies.After = slices.Concat(outbox.After, ready)
	outbox.After = []string{service.Registration(name), service.Registration(trail.Service)}
	return components
}

func (l *Loader) has(name string) bool {
	return slices.ContainsFunc(l.positions, func(p manifest.Position) bool { return p.Manifest.Name == name })
}
