package consul

import (
	"slices"
	"time"
)

// view decides what to show of Consul's answers. It is not safe for concurrent use.
type view[E any] struct {
	key  func(E) string
	sort func([]E)

	shown    []E
	missing  map[string]E  // shown before the last fault, and not in an answer since
	answered time.Time     // the last answer after the fault; zero until there is one
	left     time.Duration // for how long missing is shown yet, since that answer
}

func newView[E any](key func(E) string, sort func([]E)) *view[E] {
	return &view[E]{key: key, sort: sort, missing: make(map[string]E)}
}

// fault notes that Consul was gone, or has lost state: what is shown now is no longer backed by it.
func (v *view[E]) fault() {
	for _, e := range v.shown {
		v.missing[v.key(e)] = e
	}
	v.answered = time.Time{}
}

// update takes an answer of Consul and returns the new view, a list of its own.
func (v *view[E]) update(answer []E, now time.Time) []E {
	for _, e := range answer {
		delete(v.missing, v.key(e))
	}
	// A machine that stalls keeps those that are missing from registering again, too, so between two answers no more than
	// settleStep counts, however long that was.
	if v.answered.IsZero() {
		v.left = settleTime
	} else {
		v.left -= min(now.Sub(v.answered), settleStep)
	}
	v.answered = now
	if v.left <= 0 {
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
func (v *view[E]) look() time.Duration {
	if len(v.missing) == 0 || v.answered.IsZero() {
		return blockFor
	}
	return min(max(v.left, minBackoff), settleStep)
}
