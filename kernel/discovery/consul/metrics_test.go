package consul_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
)

// An operator can tell a view that is backed by Consul from one that stays because nobody answers.
func TestAgeOfViews(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	r := open(t, agent.Addr, nil)
	metrics := prometheus.NewRegistry()
	require.NoError(t, metrics.Register(r))
	age := func(view string) float64 {
		families, err := metrics.Gather()
		require.NoError(t, err)
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if m.GetLabel()[0].GetValue() == view {
					return m.GetGauge().GetValue()
				}
			}
		}
		return -1
	}
	require.Negative(t, age("services"), "nobody looks at it")
	began := time.Now()
	_, err := r.Services().Wait(t.Context(), nil)
	require.NoError(t, err)
	r.Instances("echo")
	require.LessOrEqual(t, age("services"), time.Since(began).Seconds())
	require.GreaterOrEqual(t, age("instances of echo"), 0.0)

	agent.Stop()
	require.Eventually(t, func() bool { return age("services") > 2 }, patience, 50*time.Millisecond, "nothing confirms it")
	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	restarted := time.Now()
	agent.Restart()
	require.Eventually(t, func() bool { return age("services") < time.Since(restarted).Seconds() }, patience, 50*time.Millisecond, "Consul confirms it again")
}
