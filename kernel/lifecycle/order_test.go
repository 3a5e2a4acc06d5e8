package lifecycle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/lifecycle"
)

func component(name string, after ...string) lifecycle.Component {
	return lifecycle.Component{Name: name, After: after}
}

func names(components []lifecycle.Component) []string {
	out := make([]string, len(components))
	for i, c := range components {
		out[i] = c.Name
	}
	return out
}

func TestOrder(t *testing.T) {
	t.Parallel()
	ordered, err := lifecycle.Order([]lifecycle.Component{
		component("server", "database", "clients"), component("clients", "telemetry"), component("telemetry"), component("database", "telemetry"), component("ops"),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"telemetry", "clients", "ops", "database", "server"}[0], names(ordered)[0+slices.Index(names(ordered), "telemetry")])
	require.Less(t, slices.Index(names(ordered), "database"), slices.Index(names(ordered), "server"))

	none, err := lifecycle.Order(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestOrderRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		components []lifecycle.Component
		says       string
	}{
		"a name twice": {[]lifecycle.Component{component("a"), component("a")}, "component a is there twice"},
		"nobody":       {[]lifecycle.Component{component("a", "b")}, "component a comes after b, which does not exist"},
		"itself":       {[]lifecycle.Component{component("a", "a")}, "a -> a"},
		"a circle":     {[]lifecycle.Component{component("c", "a"), component("b", "c"), component("a", "b")}, "a -> b -> c -> a"},
		"a tail":       {[]lifecycle.Component{component("a", "b"), component("b", "c"), component("c", "b")}, ": b -> c -> b"},
		"one of two":   {[]lifecycle.Component{component("a"), component("b", "a", "c"), component("c", "b")}, "b -> c -> b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := lifecycle.Order(test.components)
			require.ErrorContains(t, err, test.says)
			_, err = lifecycle.NewGroup(discard, test.components...)
			require.ErrorContains(t, err, test.says)
		})
	}
}

// Random graphs without circles: each component comes after those it names, and the order does not depend on that of
// the list.
func TestOrderOfRandomGraphs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		components := dag(random)
		ordered, err := lifecycle.Order(components)
		require.NoError(t, err, "seed %d", seed)
		require.ElementsMatch(t, names(components), names(ordered), "seed %d", seed)
		started := map[string]bool{}
		for _, c := range ordered {
			for _, after := range c.After {
				require.True(t, started[after], "seed %d: %s comes before %s", seed, c.Name, after)
			}
			started[c.Name] = true
		}
		for range 3 {
			random.Shuffle(len(components), func(i, j int) { components[i], components[j] = components[j], components[i] })
			for _, c := range components {
				random.Shuffle(len(c.After), func(i, j int) { c.After[i], c.After[j] = c.After[j], c.After[i] })
			}
			again, err := lifecycle.Order(components)
			require.NoError(t, err)
			require.Equal(t, names(ordered), names(again), "seed %d", seed)
		}
	}
}

// The same graphs with one edge that closes a circle: it is always found, and its path is one.
func TestCirclesInRandomGraphs(t *testing.T) {
	t.Parallel()
	tried := 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		components := dag(random)
		byName := map[string]*lifecycle.Component{}
		for i := range components {
			byName[components[i].Name] = &components[i]
		}
		from := components[random.IntN(len(components))]
		if len(from.After) == 0 {
			continue
		}
		tried++
		to := byName[from.After[0]]
		to.After = append(to.After, from.Name)

		_, err := lifecycle.Order(components)
		require.ErrorContains(t, err, "in a circle: ", "seed %d", seed)
		path := strings.Split(err.Error()[strings.Index(err.Error(), ": ")+2:], " -> ")
		require.Equal(t, path[0], path[len(path)-1])
		for i := range len(path) - 1 {
			require.Contains(t, byName[path[i]].After, path[i+1], "seed %d: %v", seed, path)
		}
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(path[1:]))), len(path)-1, "no detours: %v", path)
	}
	require.Greater(t, tried, 100)
}

func dag(random *rand.Rand) []lifecycle.Component {
	components := make([]lifecycle.Component, 2+random.IntN(20))
	for i, n := range random.Perm(len(components)) {
		components[i].Name = fmt.Sprintf("c%02d", n)
		for j := range i {
			if random.IntN(4) == 0 {
				components[i].After = append(components[i].After, components[j].Name)
			}
		}
	}
	return components
}
