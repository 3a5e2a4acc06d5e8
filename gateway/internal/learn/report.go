package learn

import (
	"fmt"
	"maps"
	"slices"

	"ashlar.dev/gateway/internal/routes"
)

// Known is what is known of a service that discovery shows, or has shown.
type Known struct {
	Service string
	// Module is what is routed; nil where nothing of the service has been accepted.
	Module *routes.Module
	// Refused: what the service said last is not accepted. Else, where Why is set, it could not be asked.
	Refused bool
	// Why is what is wrong with what it said last, or why it could not be asked; empty where nothing is.
	Why string
}

// Report returns what is known of each service, by name. It is safe for concurrent use; requests do not wait for it.
func (l *Learner) Report() []Known {
	names, _, _ := l.directory.Services().Get()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]*Known{}
	of := func(name string) *Known {
		if all[name] == nil {
			all[name] = &Known{Service: name}
		}
		return all[name]
	}
	for _, name := range names {
		if name != l.self {
			of(name)
		}
	}
	for name, module := range l.book.accepted {
		of(name).Module = module
	}
	for name, fault := range l.wrong {
		k := of(name)
		k.Why, k.Refused = fault.what.Error(), fault.refused
	}
	for _, r := range l.refused {
		k := of(r.module.Service)
		k.Why, k.Refused = fmt.Sprintf("it claims %s, which %s has", r.claim, r.holder), true
	}
	out := make([]Known, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[name])
	}
	return out
}

// fault is what is wrong with a service.
type fault struct {
	what error
	// refused: it said something that makes no sense; else it said nothing.
	refused bool
}

// note remembers what is wrong with a service; a nil what is nothing.
func (l *Learner) note(service string, f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.what == nil {
		delete(l.wrong, service)
		return
	}
	l.wrong[service] = f
}
