package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/nearest"
)

// Rules say what holds for all modules beside what their manifests say. The zero value adds nothing.
type Rules struct {
	// Needed names modules without which no other can start: each module depends on them, though its manifest does not
	// say so.
	Needed []string
	// Outlasting names modules that the others do without for a while, and that had better be there from their start to
	// their end. They come before all modules that they do not depend on themselves, where they are there at all.
	Outlasting []string
}

// Position is the place of a module among others that start in the order of their dependencies.
type Position struct {
	Manifest *Manifest
	// Rank is the length of the longest way to a module that comes after none. Between modules of the same rank there is
	// no order.
	Rank int
	// After names the modules that come directly before this one, sorted.
	After []string
}

// Resolve returns the wanted modules and all that they depend on, each after those that it depends on; among those that
// could come next, by rank and name. Without wanted names it is all of them.
//
// The error is a finding.List of everything that is wrong with those modules: names that two have, dependencies on a
// module that is not there, one finding for each that wants it, or on a version that it has not, and circles with their
// paths. Each module on a circle is on one that is reported.
func Resolve(manifests []*Manifest, rules Rules, wanted ...string) ([]Position, error) {
	g := graph{rules: rules, byName: map[string]*Manifest{}, after: map[string][]string{}}
	for _, m := range manifests {
		if other, twice := g.byName[m.Name]; twice {
			g.found.Addf(m.Place("name"), "the module %s is there twice%s", m.Name, see(other.Place("name")))
			continue
		}
		g.byName[m.Name] = m
	}
	g.close(wanted)
	g.circles()
	g.found.Sort()
	if err := g.found.Err(); err != nil {
		return nil, err
	}
	g.outlast()
	return g.positions(), nil
}

func see(at finding.Place) string {
	if at.String() == "" {
		return ""
	}
	return ": see " + at.String()
}

// graph is the modules that take part, and who comes after whom.
type graph struct {
	rules  Rules
	byName map[string]*Manifest
	// after has the modules that take part, and those that come before each, sorted.
	after map[string][]string
	found finding.List
}

// close takes in the wanted modules and all that they depend on.
func (g *graph) close(wanted []string) {
	if len(wanted) == 0 {
		wanted = g.names()
	}
	queue := []string{}
	for _, name := range wanted {
		if g.byName[name] == nil {
			g.found.Suggestf(finding.Place{}, nearest.To(name, g.names()...), "there is no module %s", name)
			continue
		}
		queue = append(queue, name)
	}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if _, done := g.after[name]; done {
			continue
		}
		before := g.dependencies(g.byName[name])
		g.after[name] = before
		queue = append(queue, before...)
	}
}

// dependencies returns the modules that one depends on and that are there, and notes those that are not.
func (g *graph) dependencies(m *Manifest) []string {
	before := []string{}
	for i, d := range m.DependsOn {
		at := m.Place(fmt.Sprintf("dependsOn[%d]", i))
		other := g.byName[d.Name]
		switch {
		case other == nil:
			g.found.Suggestf(at, nearest.To(d.Name, g.names()...), "%s depends on %s, and there is no such module", m.Name, d.Name)
			continue
		case !d.Requirement.Allows(other.Version):
			g.found.Addf(at, "%s depends on %s, which has version %s here", m.Name, d, other.Version)
		}
		before = append(before, d.Name)
	}
	for _, name := range g.rules.Needed {
		switch {
		case name == m.Name || slices.Contains(before, name):
		case g.byName[name] == nil:
			g.found.Addf(m.Place("name"), "%s needs %s, as every module does, and there is no such module", m.Name, name)
		default:
			before = append(before, name)
		}
	}
	slices.Sort(before)
	return before
}

// circles finds the shortest way from each module back to itself, except from those that are on one that was found.
func (g *graph) circles() {
	reported := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(g.after)) {
		if reported[name] {
			continue
		}
		circle := g.way(name, name)
		if circle == nil {
			continue
		}
		for _, member := range circle {
			reported[member] = true
		}
		m := g.byName[name]
		at := m.Place("name")
		i := slices.IndexFunc(m.DependsOn, func(d Dependency) bool { return d.Name == circle[1] })
		if i >= 0 {
			at = m.Place(fmt.Sprintf("dependsOn[%d]", i))
		}
		g.found.Addf(at, "modules depend on each other in a circle: %s%s", strings.Join(circle, " -> "), g.unwritten(circle))
	}
}

// unwritten says which steps of a circle are in no manifest.
func (g *graph) unwritten(circle []string) string {
	var said strings.Builder
	for i, name := range circle[1:] {
		from := g.byName[circle[i]]
		if !slices.ContainsFunc(from.DependsOn, func(d Dependency) bool { return d.Name == name }) {
			fmt.Fprintf(&said, " (%s needs %s, as every module does)", from.Name, name)
		}
	}
	return said.String()
}

// way returns the shortest way from one module to another by at least one dependency, both ends included, and nil where
// there is none. Of several that are equally short it is the first by name.
func (g *graph) way(from, to string) []string {
	came := map[string]string{}
	queue := []string{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range g.after[at] {
			if next == to {
				way := []string{to, at}
				for at != from {
					at = came[at]
					way = append(way, at)
				}
				slices.Reverse(way)
				return way
			}
			if _, seen := came[next]; !seen && next != from {
				came[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// outlast puts those that outlast the others before them, where that closes no circle.
func (g *graph) outlast() {
	for _, last := range slices.Sorted(slices.Values(g.rules.Outlasting)) {
		if _, there := g.after[last]; !there {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(g.after)) {
			before := g.after[name]
			if name != last && !slices.Contains(before, last) && g.way(last, name) == nil {
				g.after[name] = slices.Sorted(slices.Values(append(slices.Clone(before), last)))
			}
		}
	}
}

func (g *graph) positions() []Position {
	ranks := map[string]int{}
	var rank func(string) int
	rank = func(name string) int {
		r, known := ranks[name]
		if known {
			return r
		}
		for _, before := range g.after[name] {
			r = max(r, rank(before)+1)
		}
		ranks[name] = r
		return r
	}
	var all []Position
	for name, after := range g.after {
		all = append(all, Position{Manifest: g.byName[name], Rank: rank(name), After: after})
	}
	slices.SortFunc(all, func(a, b Position) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Manifest.Name, b.Manifest.Name))
	})
	return all
}

func (g *graph) names() []string { return slices.Sorted(maps.Keys(g.byName)) }
