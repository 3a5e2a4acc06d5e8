package consul_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/consul/consultest"
)

func TestOverviewShowsAlsoWhoIsNotHealthyAndWhy(t *testing.T) {
	agent := consultest.Start(t)
	doomed, other := serve(t), serve(t)
	registry := open(t, agent.Addr, nil)
	register(t, registry, "stock", "stock-1", "")
	register(t, registry, "orders", "orders-2", other.URL)
	register(t, registry, "orders", "orders-1", doomed.URL)

	seen, err := registry.Overview(t.Context())
	require.NoError(t, err)
	require.Len(t, seen, 3)
	for i, id := range []string{"orders-1", "orders-2", "stock-1"} {
		require.Equal(t, id, seen[i].ID)
		require.Equal(t, "1.0.0", seen[i].Version)
		require.True(t, seen[i].Healthy)
		require.Empty(t, seen[i].Why)
	}

	doomed.Close() // its port refuses from now on
	require.Eventually(t, func() bool {
		seen, err = registry.Overview(t.Context())
		require.NoError(t, err)
		return !seen[0].Healthy && strings.Contains(seen[0].Why, "refused") && seen[1].Healthy
	}, patience, 20*time.Millisecond)
	require.Contains(t, seen[0].Why, "ready: ")

	another, err := consul.New(consul.Config{Address: agent.Addr, Platform: "another"}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, another.Close()) })
	seen, err = another.Overview(t.Context())
	require.NoError(t, err)
	require.Empty(t, seen, "another platform's")

	agent.Stop()
	_, err = registry.Overview(t.Context())
	require.ErrorContains(t, err, "no Consul agent at "+agent.Addr)
}
