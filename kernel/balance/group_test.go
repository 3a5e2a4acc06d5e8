package balance

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

// counted is which part of many requests each gets, none of which ends where they pile up.
func counted(v *view, versions *Versions, pileUp bool) map[string]float64 {
	const rounds = 20_000
	out := map[string]float64{}
	for range rounds {
		e := v.pick(0, &tried{versions: versions})
		if e == nil {
			out["nobody"] += 1.0 / rounds
			continue
		}
		out[e.version+e.zone] += 1.0 / rounds
		if pileUp {
			e.outstanding.Add(1)
		}
	}
	return out
}

func only(names ...string) *Versions { return &Versions{Names: names, Only: true} }

func TestACanaryGetsItsShareHoweverBusyItIs(t *testing.T) {
	for _, pileUp := range []bool{false, true} {
		v := viewOf("", place{version: "1", weight: 100}, place{version: "1", weight: 100}, place{version: "2", weight: 10})
		got := counted(v, nil, pileUp)
		require.InDelta(t, 200.0/210, got["1"], 0.01)
		require.InDelta(t, 10.0/210, got["2"], 0.01)
	}
}

func TestNoWeightNoRequests(t *testing.T) {
	v := viewOf("", place{version: "1", weight: 100}, place{version: "2", weight: 0})
	require.Equal(t, map[string]float64{"1": 1}, rounded(counted(v, nil, true)))
	require.Equal(t, map[string]float64{"2": 1}, rounded(counted(v, only("2"), true)), "but to who asks for it")

	v = viewOf("", place{version: "1", weight: 0})
	require.Nil(t, v.pick(0, &tried{}))
	require.NotNil(t, v.pick(0, &tried{versions: only("1")}))
}

func TestOnlyVersionsThatCanServeIt(t *testing.T) {
	v := viewOf("", place{version: "1", weight: 100}, place{version: "2", weight: 100}, place{version: "3", weight: 100})
	got := counted(v, only("2", "3"), true)
	require.InDelta(t, 0.5, got["2"], 0.02)
	require.InDelta(t, 0.5, got["3"], 0.02)
	require.Equal(t, map[string]float64{"nobody": 1}, rounded(counted(v, only("4"), false)))
}

func TestVersionsThatNobodyKnowsComeLast(t *testing.T) {
	v := viewOf("", place{version: "1", weight: 100}, place{version: "2", weight: 300}, place{version: "3", weight: 0})
	require.Equal(t, map[string]float64{"1": 1}, rounded(counted(v, &Versions{Names: []string{"1"}}, true)))
	got := counted(v, &Versions{Names: []string{"1", "2"}}, true)
	require.InDelta(t, 0.25, got["1"], 0.02, "by weight")
	require.InDelta(t, 0.75, got["2"], 0.02)
	got = counted(v, &Versions{Names: []string{"4"}}, true)
	require.InDelta(t, 0.25, got["1"], 0.02, "where there is no other, as if nothing was asked for")
	require.InDelta(t, 0.75, got["2"], 0.02)
	require.Equal(t, map[string]float64{"1": 1}, rounded(counted(viewOf("", place{version: "1", weight: 100}), &Versions{Names: []string{"3"}}, false)))
}

func TestTheOwnZoneIsPreferred(t *testing.T) {
	v := viewOf("north", place{zone: "north", weight: 100}, place{zone: "south", weight: 100})
	require.Equal(t, map[string]float64{"north": 1}, rounded(counted(v, nil, false)), "while it is not busy")

	// One busy instance here, and two elsewhere: everybody has about the same, with half as much elsewhere at worst.
	v = viewOf("north", place{zone: "north", weight: 100}, place{zone: "south", weight: 100}, place{zone: "south", weight: 100})
	got := counted(v, nil, true)
	require.Greater(t, got["north"], 0.33)
	require.Greater(t, got["south"], 0.33, "what is too much goes elsewhere")

	v.endpoints[0].failed(0, 0)
	require.Equal(t, map[string]float64{"south": 1}, rounded(counted(v, nil, false)), "nobody left here")

	v = viewOf("west", place{zone: "north", weight: 100}, place{zone: "south", weight: 100})
	require.Len(t, counted(v, nil, true), 2, "nobody here at all")
}

func TestSharesOfVersions(t *testing.T) {
	instances := []discovery.Instance{
		{ID: "a", Version: "1"}, {ID: "b", Version: "1"}, {ID: "c", Version: "2"},
		{ID: "d", Version: "3", Metadata: map[string]string{"weight": "0"}},
	}
	of := func(shares Shares) map[string]float64 {
		v := &view{known: true}
		for _, i := range instances {
			v.endpoints = append(v.endpoints, &endpoint{place: placeOf(i, shares)})
		}
		v.groups = grouped(v.endpoints, "", shares)
		return counted(v, nil, true)
	}
	for _, c := range []struct {
		shares Shares
		want   map[string]float64
	}{
		{nil, map[string]float64{"1": 2. / 3, "2": 1. / 3}},
		{Shares{"2": 5}, map[string]float64{"1": 0.95, "2": 0.05}},
		{Shares{"3": 10}, map[string]float64{"1": 0.6, "2": 0.3, "3": 0.1}},
		{Shares{"1": 100, "2": 0}, map[string]float64{"1": 1}},
		{Shares{"1": 50, "4": 50}, map[string]float64{"1": 1}},
		{Shares{"2": 100}, map[string]float64{"2": 1}},
		{Shares{"4": 100}, map[string]float64{"1": 2. / 3, "2": 1. / 3}},
	} {
		got := of(c.shares)
		require.Len(t, got, len(c.want), "%v: %v", c.shares, got)
		for version, share := range c.want {
			require.InDelta(t, share, got[version], 0.02, "%v: %v", c.shares, got)
		}
	}
}

// rounded takes away what adding up small numbers leaves.
func rounded(in map[string]float64) map[string]float64 {
	for k, v := range in {
		in[k] = float64(int(v*1000+0.5)) / 1000
	}
	return in
}
