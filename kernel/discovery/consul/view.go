package consul

import (
	"slices"
	"time"
)

// view decides what to show of Consul's answers. It is not safe for concurrent use.
type view[E any] struct {
	key  func(E) string
	sort func([]E)

	shown   []E
	missing map[string]E // shown before the last fault, and not in an answer since
	settled time.Time    // when missing is given up; zero until Consul has answered after the fault
}

func newView[E any](key func(E) string, sort func([]E)) *view[E] {
	return &view[E]{key: key, sort: sort, missing: make(map[string]E)}
}

// fault notes that Consul was gone, or has lost state: what is shown now is no longer backed by it.
func (v *view[E]) fault() {
	for _, e := range v.shown {
		v.missing[v.key(e)] = e
	}
	v.settled = time.Time{}
}

// update takes an answer of Consul and returns the new view, a list of its own.
func (v *view[E]) update(answer []E, now time.Time) []E {
	for _, e := range answer {
		delete(v.missing, v.key(e))
	}
	if len(v.missing) > 0 && v.settled.IsZero() {
		v.settled = now.Add(settleTime)
	}
	if !now.Before(v.settled) {
		clear(v.missing)
	}
	next := slices.Clone(answer)
	for _, e := range v.missing {
		next = append(next, e)
	}
	v.sort(next)
	v.shown = next
	return next
}

// look says how long Consul may take over a blocking query, so that missing things are given up in time.
func (v *view[E]) look(now time.Time) time.Duration {
	if len(v.missing) == 0 || v.settled.IsZero() {
		return blockFor
	}
	return min(max(v.settled.Sub(now), minBackoff), blockFor)
}
