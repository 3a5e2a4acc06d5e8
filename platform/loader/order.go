package loader

import (
	"slices"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/core"
	"ashlar.dev/platform/service"
)

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
	if !l.has(core.Audit) || slices.Contains(p.After, core.Audit) {
		// The outbox comes before the dependencies, so this is for both.
		outbox.After = slices.Concat(outbox.After, ready)
		return components
	}
	dependencies.After = slices.Concat(outbox.After, ready)
	outbox.After = []string{service.Registration(name), service.Registration(core.Audit)}
	return components
}

func (l *Loader) has(name string) bool {
	return slices.ContainsFunc(l.positions, func(p manifest.Position) bool { return p.Manifest.Name == name })
}
