package consul

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestViewHoldsWhatWasThereBeforeAFault(t *testing.T) {
	start := time.Now()
	at := start.Add
	v := newView(func(s string) string { return s }, slices.Sort[[]string])

	require.Equal(t, []string{"a", "b", "c"}, v.update([]string{"c", "a", "b"}, start))
	require.Equal(t, []string{"a", "b"}, v.update([]string{"a", "b"}, start), "without a fault Consul is believed at once")
	require.Equal(t, blockFor, v.look())

	v.fault()
	v.fault() // however often it fails
	require.Equal(t, []string{"a", "b"}, v.update(nil, start), "Consul came back empty")
	require.Equal(t, settleStep, v.look(), "it is asked again before that has to be believed")
	require.Equal(t, []string{"a", "b"}, v.update([]string{"a"}, at(time.Second)))
	require.Equal(t, []string{"b"}, v.update(nil, at(2*time.Second)), "seen again, then gone: that is Consul's word")
	require.Equal(t, []string{"b", "d"}, v.update([]string{"d"}, at(3*time.Second)), "new ones show at once")
	require.Equal(t, []string{"b", "d"}, v.update([]string{"d"}, at(4*time.Second)))
	require.Equal(t, []string{"b", "d"}, v.update([]string{"d"}, at(settleTime-minBackoff/2)))
	require.Equal(t, minBackoff, v.look())
	require.Equal(t, []string{"d"}, v.update([]string{"d"}, at(settleTime)), "the time is up")
	require.Equal(t, blockFor, v.look())
}

// Where nothing could be done for a while, that time does not count.
func TestViewHoldsWhileTheMachineStalls(t *testing.T) {
	start := time.Now()
	v := newView(func(s string) string { return s }, slices.Sort[[]string])
	v.update([]string{"a"}, start)
	v.fault()
	v.update(nil, start)
	require.Equal(t, []string{"a"}, v.update(nil, start.Add(2*settleTime)))
	require.Equal(t, settleStep, v.look())
	for after := settleStep; after < settleTime; after += settleStep {
		require.Equal(t, []string{"a"}, v.shown)
		v.update(nil, start.Add(2*settleTime+after))
	}
	require.Empty(t, v.shown)
}

func TestViewSettlesAnewAfterAFaultWhileSettling(t *testing.T) {
	start := time.Now()
	v := newView(func(s string) string { return s }, slices.Sort[[]string])
	v.update([]string{"a"}, start)
	v.fault()
	v.update(nil, start)
	v.fault()
	for after := settleStep; after <= settleTime; after += settleStep {
		require.Equal(t, []string{"a"}, v.update(nil, start.Add(after)))
	}
	require.Empty(t, v.update(nil, start.Add(settleTime+settleStep)))
}
