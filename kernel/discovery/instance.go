package discovery

import (
	"cmp"
	"maps"
	"slices"
)

// Equal reports whether both describe the same instance in the same way. Metadata that is nil equals metadata that is empty.
func (i Instance) Equal(other Instance) bool {
	return i.ID == other.ID && i.Service == other.Service && i.Address == other.Address && i.Version == other.Version &&
		maps.Equal(i.Metadata, other.Metadata)
}

// SameInstances reports whether two views show the same: the comparison for NewSource.
func SameInstances(a, b []Instance) bool {
	return slices.EqualFunc(a, b, Instance.Equal)
}

// SortInstances puts instances into the order of a view: by ID, then by address where a broken registry shows an ID twice.
func SortInstances(instances []Instance) {
	slices.SortFunc(instances, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Address, b.Address))
	})
}
