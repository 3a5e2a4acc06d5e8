package manifest_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
)

// module makes a manifest from one line: its name, and what it depends on.
func module(t testing.TB, line string) *manifest.Manifest {
	t.Helper()
	name, dependsOn, _ := strings.Cut(line, ": ")
	m, err := manifest.Parse(name+".yaml", []byte("name: "+name+"\nversion: 1.2.0\ndependsOn: ["+dependsOn+"]\n"))
	require.NoError(t, err)
	return m
}

func modules(t testing.TB, lines ...string) []*manifest.Manifest {
	t.Helper()
	all := make([]*manifest.Manifest, len(lines))
	for i, line := range lines {
		all[i] = module(t, line)
	}
	return all
}

// order writes positions as `rank name<after,after`.
func order(positions []manifest.Position) []string {
	lines := []string{}
	for _, p := range positions {
		line := fmt.Sprintf("%d %s", p.Rank, p.Manifest.Name)
		if len(p.After) > 0 {
			line += "<" + strings.Join(p.After, ",")
		}
		lines = append(lines, line)
	}
	return lines
}

var rules = manifest.Rules{Needed: []string{"authz"}, Outlasting: []string{"audit"}}

func TestResolve(t *testing.T) {
	t.Parallel()
	platform := []string{"audit: authz", "auth: identity >= 1.2, authz", "authz", "identity: authz", "notes: identity", "shop"}
	for name, test := range map[string]struct {
		modules []string
		rules   manifest.Rules
		wanted  []string
		want    []string
	}{
		"nothing":  {nil, rules, nil, []string{}},
		"all":      {platform, manifest.Rules{}, nil, []string{"0 authz", "0 shop", "1 audit<authz", "1 identity<authz", "2 auth<authz,identity", "2 notes<identity"}},
		"some":     {platform, manifest.Rules{}, []string{"notes"}, []string{"0 authz", "1 identity<authz", "2 notes<identity"}},
		"one":      {platform, manifest.Rules{}, []string{"shop", "shop"}, []string{"0 shop"}},
		"needed":   {platform, manifest.Rules{Needed: []string{"authz"}}, []string{"shop"}, []string{"0 authz", "1 shop<authz"}},
		"no audit": {platform, rules, []string{"notes"}, []string{"0 authz", "1 identity<authz", "2 notes<authz,identity"}},
		"audit outlasts all but what it depends on itself": {platform, rules, nil, []string{
			"0 authz", "1 audit<authz", "2 identity<audit,authz", "2 shop<audit,authz", "3 auth<audit,authz,identity", "3 notes<audit,authz,identity",
		}},
		"two that outlast": {
			[]string{"a", "b", "c"}, manifest.Rules{Outlasting: []string{"b", "a"}}, nil,
			[]string{"0 a", "1 b<a", "2 c<a,b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			positions, err := manifest.Resolve(modules(t, test.modules...), test.rules, test.wanted...)
			require.NoError(t, err)
			require.Equal(t, test.want, order(positions))
		})
	}
}

func TestResolveTellsEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		modules []string
		rules   manifest.Rules
		wanted  []string
		says    []string
	}{
		"a name that nobody has": {[]string{"notes"}, manifest.Rules{}, []string{"ntoes", "ghost"}, []string{
			`there is no module ghost`, `there is no module ntoes; did you mean "notes"?`,
		}},
		"all who want what is missing": {[]string{"a: ghost", "b: ghost", "c: a, ghost", "d: nothing"}, manifest.Rules{}, []string{"a", "b", "c"}, []string{
			"a.yaml:3:13: a depends on ghost, and there is no such module",
			"b.yaml:3:13: b depends on ghost, and there is no such module",
			"c.yaml:3:16: c depends on ghost, and there is no such module",
		}},
		"versions": {[]string{"a: c >= 1.3", "b: c ^2", "c", "d: c >= 1.2"}, manifest.Rules{}, nil, []string{
			"a.yaml:3:13: a depends on c >= 1.3, which has version 1.2.0 here",
			"b.yaml:3:13: b depends on c ^2, which has version 1.2.0 here",
		}},
		"twice":         {[]string{"a", "b: a", "a"}, manifest.Rules{}, nil, []string{"a.yaml:1:7: the module a is there twice: see a.yaml:1:7"}},
		"what all need": {[]string{"a"}, rules, nil, []string{"a.yaml:1:7: a needs authz, as every module does, and there is no such module"}},
		"a circle of what all need": {[]string{"authz: a", "a"}, rules, nil, []string{
			"a.yaml:1:7: modules depend on each other in a circle: a -> authz -> a (a needs authz, as every module does)",
		}},
		"everything at once": {[]string{"a: b, ghost", "b: c >= 9", "c: b", "d: e", "e: d"}, manifest.Rules{}, []string{"a", "d", "zebra"}, []string{
			"there is no module zebra",
			"a.yaml:3:16: a depends on ghost, and there is no such module",
			"b.yaml:3:13: b depends on c >= 9, which has version 1.2.0 here",
			"b.yaml:3:13: modules depend on each other in a circle: b -> c -> b",
			"d.yaml:3:13: modules depend on each other in a circle: d -> e -> d",
		}},
		"the shortest circle, and each on one": {[]string{"a: b, f", "b: c", "c: d, b", "d: b", "e: a", "f"}, manifest.Rules{}, nil, []string{
			"b.yaml:3:13: modules depend on each other in a circle: b -> c -> b",
			"d.yaml:3:13: modules depend on each other in a circle: d -> b -> c -> d",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			positions, err := manifest.Resolve(modules(t, test.modules...), test.rules, test.wanted...)
			require.Nil(t, positions)
			require.EqualError(t, err, strings.Join(test.says, "\n"))
		})
	}
}

// What is wrong with modules that nobody wants concerns nobody.
func TestResolveLooksOnlyAtWhatIsWanted(t *testing.T) {
	t.Parallel()
	positions, err := manifest.Resolve(modules(t, "a", "b: ghost", "c: d", "d: c"), manifest.Rules{}, "a")
	require.NoError(t, err)
	require.Equal(t, []string{"0 a"}, order(positions))
}

// random makes ten modules of which each depends on some that come before it in a random order.
func random(r *rand.Rand) (names []string, dependsOn map[string][]string) {
	const services = 10
	dependsOn = map[string][]string{}
	for i, at := range r.Perm(services) {
		name := string(rune('a' + at))
		for _, before := range names {
			if r.IntN(1+i) < 2 {
				dependsOn[name] = append(dependsOn[name], before)
			}
		}
		names = append(names, name)
	}
	return names, dependsOn
}

func lines(names []string, dependsOn map[string][]string) []string {
	var all []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		all = append(all, name+": "+strings.Join(dependsOn[name], ", "))
	}
	return all
}

func TestTenServicesInAnyGraph(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		names, dependsOn := random(r)
		wanted := names[r.IntN(len(names)):]
		rules := manifest.Rules{Outlasting: []string{names[r.IntN(len(names))]}}
		positions, err := manifest.Resolve(modules(t, lines(names, dependsOn)...), rules, wanted...)
		require.NoError(t, err, "seed %d", seed)

		closure := map[string]bool{}
		var reach func(string)
		reach = func(name string) {
			closure[name] = true
			for _, before := range dependsOn[name] {
				reach(before)
			}
		}
		for _, name := range wanted {
			reach(name)
		}
		seen := map[string]int{}
		for _, p := range positions {
			rank := 0
			for _, before := range p.After {
				at, there := seen[before]
				require.True(t, there, "seed %d: %s comes before %s: %v", seed, before, p.Manifest.Name, order(positions))
				rank = max(rank, at+1)
			}
			for _, before := range dependsOn[p.Manifest.Name] {
				require.Contains(t, p.After, before, "seed %d", seed)
			}
			require.Equal(t, rank, p.Rank)
			seen[p.Manifest.Name] = rank
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(closure)), slices.Collect(maps.Keys(seen)), "seed %d", seed)

		shuffled := modules(t, lines(names, dependsOn)...)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, err := manifest.Resolve(shuffled, rules, wanted...)
		require.NoError(t, err)
		require.Equal(t, order(positions), order(again), "the order is the same each time")
	}
}

func TestCirclesAndMissingOnesAreAlwaysReported(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		names, dependsOn := random(r)
		// One that others stand on comes to depend on one of those, and somebody on what is not there.
		last := names[len(names)-1]
		if len(dependsOn[last]) == 0 {
			dependsOn[last] = []string{names[0]}
		}
		first := dependsOn[last][r.IntN(len(dependsOn[last]))]
		dependsOn[first] = append(dependsOn[first], last)
		lost := names[r.IntN(len(names))]
		dependsOn[lost] = append(dependsOn[lost], "ghost")

		_, err := manifest.Resolve(modules(t, lines(names, dependsOn)...), manifest.Rules{})
		found, ok := errors.AsType[finding.List](err)
		require.True(t, ok, "seed %d: %v", seed, err)
		require.Contains(t, err.Error(), lost+" depends on ghost, and there is no such module")
		circles := 0
		for _, f := range found {
			_, path, is := strings.Cut(f.Message, "in a circle: ")
			if !is {
				continue
			}
			circles++
			steps := strings.Split(path, " -> ")
			require.Equal(t, steps[0], steps[len(steps)-1])
			for i, step := range steps[1:] {
				require.Contains(t, dependsOn[steps[i]], step, "seed %d: %s", seed, path)
			}
		}
		require.Positive(t, circles, "seed %d: %v", seed, err)
	}
}
