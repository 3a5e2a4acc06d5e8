package balance

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	"ashlar.dev/kernel/discovery"
)

// place is what discovery says of an endpoint. One of which anything changes is another endpoint.
type place struct {
	id, address, version, zone string
	// weight is its share of what is sent to the service, beside those of the others.
	weight uint64
}

func placeOf(i discovery.Instance, shares Shares) place {
	p := place{id: i.ID, address: i.Address, version: i.Version, zone: i.Zone(), weight: uint64(i.Weight())}
	if percent, ok := shares[i.Version]; ok {
		if p.weight = max(p.weight, 1); percent <= 0 {
			p.weight = 0
		}
	}
	return p
}

// group is what has the same version and weight, or everything where all weigh the same. The shares of groups are exact,
// however busy they are, so that a canary gets what it was given; within one, requests go to whoever has the least to do.
type group struct {
	// upTo is the sum of the weights of this group and those before it.
	upTo uint64
	// near are the endpoints of the own zone, or all where it has none; far are the others.
	near, far []*endpoint
}

type kind struct {
	version string
	weight  uint64
}

// grouped returns the groups of what has a weight.
func grouped(endpoints []*endpoint, zone string, shares Shares) []group {
	same := shares == nil && !slices.ContainsFunc(endpoints, func(e *endpoint) bool { return e.weight != endpoints[0].weight })
	byKind := map[kind]*group{}
	weights := map[kind]uint64{}
	for _, e := range endpoints {
		if e.weight == 0 {
			continue
		}
		k := kind{e.version, e.weight}
		if same {
			k.version = ""
		}
		if byKind[k] == nil {
			byKind[k] = &group{}
		}
		weights[k] += e.weight
		byKind[k].add(e, zone)
	}
	if shares != nil {
		weights = shares.apply(weights)
	}
	kinds := slices.SortedFunc(maps.Keys(byKind), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.weight, b.weight))
	})
	groups := make([]group, 0, len(kinds))
	var sum uint64
	for _, k := range kinds {
		g := byKind[k]
		sum += weights[k]
		g.upTo = sum
		if len(g.near) == 0 {
			g.near, g.far = g.far, nil
		}
		groups = append(groups, *g)
	}
	return groups
}

func (g *group) add(e *endpoint, zone string) {
	if zone == "" || e.zone == zone {
		g.near = append(g.near, e)
	} else {
		g.far = append(g.far, e)
	}
}

// noGroup is that of a service whose instances all have no weight.
var noGroup = &group{}

// group returns one at random, by weight.
func (v *view) group() *group {
	switch len(v.groups) {
	case 0:
		return noGroup
	case 1:
		return &v.groups[0]
	}
	lot := rand.Uint64N(v.groups[len(v.groups)-1].upTo) //nolint:gosec // spreads load, keeps no secret
	for i := range v.groups {
		if lot < v.groups[i].upTo {
			return &v.groups[i]
		}
	}
	return noGroup
}
