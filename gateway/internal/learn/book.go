package learn

import (
	"maps"
	"slices"
	"time"

	"ashlar.dev/gateway/internal/routes"
)

// yieldAfter is how long a service must be gone from discovery before another may have what it claimed: long enough
// that a restart never loses it.
const yieldAfter = 2 * time.Minute

// book keeps who serves what. What a service has stays its own until it is gone for good; whoever comes second is
// refused as a whole, and gets its turn when there is no conflict any more.
type book struct {
	accepted map[string]*routes.Module
	// offered holds what has been learned and is not accepted yet.
	offered map[string]*routes.Module
	gone    map[string]time.Time
	// yielded holds what was accepted of services that are gone for good: they have to ask again once they are back.
	yielded map[string]*routes.Module
}

// refusal is a module that conflicts with another service.
type refusal struct {
	module *routes.Module
	claim  string
	holder string
}

func newBook() *book {
	return &book{
		accepted: map[string]*routes.Module{}, offered: map[string]*routes.Module{}, gone: map[string]time.Time{},
		yielded: map[string]*routes.Module{},
	}
}

// present notes which services discovery shows.
func (b *book) present(names []string, now time.Time) {
	for name := range b.accepted {
		if slices.Contains(names, name) {
			delete(b.gone, name)
		} else if _, ok := b.gone[name]; !ok {
			b.gone[name] = now
		}
	}
	for name, module := range b.yielded {
		if slices.Contains(names, name) { // it may well say what it said before, which is no news to whoever asks it
			delete(b.yielded, name)
			b.offered[name] = module
		}
	}
}

// offer notes what has been learned of a service.
func (b *book) offer(module *routes.Module) {
	delete(b.yielded, module.Service)
	b.offered[module.Service] = module
}

// settle accepts what can be accepted, in the order of names, and returns what cannot. changed tells whether other
// modules are accepted than before.
func (b *book) settle(now time.Time) (refused []refusal, changed bool) {
	for again := true; again; {
		again, refused = false, nil
		for _, name := range slices.Sorted(maps.Keys(b.offered)) {
			module := b.offered[name]
			claim, holder, yielded := b.conflict(module, now)
			changed = changed || yielded
			if claim != "" {
				refused = append(refused, refusal{module, claim, holder})
				continue
			}
			b.accepted[name] = module
			delete(b.offered, name)
			again, changed = true, true
		}
	}
	return refused, changed
}

// conflict returns what a module claims and another service holds. A holder that is gone for good gives up all it has;
// yielded tells whether one did.
func (b *book) conflict(module *routes.Module, now time.Time) (claim, holder string, yielded bool) {
	for _, name := range slices.Sorted(maps.Keys(b.accepted)) {
		if name == module.Service {
			continue
		}
		claim := module.Conflict(b.accepted[name])
		if claim == "" {
			continue
		}
		if since, ok := b.gone[name]; !ok || now.Sub(since) < yieldAfter {
			return claim, name, yielded
		}
		b.yielded[name], yielded = b.accepted[name], true
		delete(b.accepted, name)
		delete(b.gone, name)
	}
	return "", "", yielded
}

// modules returns what is accepted, in the order of names.
func (b *book) modules() []*routes.Module {
	out := make([]*routes.Module, 0, len(b.accepted))
	for _, name := range slices.Sorted(maps.Keys(b.accepted)) {
		out = append(out, b.accepted[name])
	}
	return out
}
