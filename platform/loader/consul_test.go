package loader_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
)

func logger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// Several services in one process, and a real Consul: all are registered, healthy, found by others, and gone after stop.
func TestInConsul(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	w := newWorld(t, "identity: authz", "notes: identity", "shop")
	w.cfg.ConsulAddr, w.cfg.OpsAddr = agent.Addr, "127.0.0.1:0"
	w.cfg.ClusterKeyFile = filepath.Join(t.TempDir(), "cluster.key")
	require.NoError(t, workload.CreateClusterKey(w.cfg.ClusterKeyFile))
	var err error
	w.env, err = service.NewConsulEnvironment(w.cfg, logger(t))
	require.NoError(t, err)

	key, err := workload.ReadClusterKey(w.cfg.ClusterKeyFile)
	require.NoError(t, err)
	elsewhere, err := consul.New(consul.Config{Address: agent.Addr, Platform: key.Fingerprint()}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, elsewhere.Close()) })

	l := w.mustLoad()
	require.NoError(t, l.Start(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := api.NewClient(&api.Config{Address: agent.Addr, HttpClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	require.NoError(t, err)
	for _, name := range []string{"authz", "audit", "identity", "notes", "shop"} {
		instances, err := elsewhere.Instances(name).Wait(ctx, func(found []discovery.Instance) bool { return len(found) == 1 })
		require.NoError(t, err, name)
		require.Equal(t, "1.2.0", instances[0].Version)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+instances[0].Address+"/nobody.Service/Method", http.NoBody)
		require.NoError(t, err)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		require.NoError(t, err, "%s serves where Consul says", name)
		_, _ = io.Copy(io.Discard, response.Body)
		require.NoError(t, response.Body.Close())
	}
	services, _, err := client.Catalog().Services(nil)
	require.NoError(t, err)
	require.Len(t, services, 6, "Consul itself and the five: %v", services)
	// A check that was not answered in time, because the machine is busy, is made again.
	require.Eventually(t, func() bool {
		checks, _, err := client.Health().State(api.HealthAny, nil)
		require.NoError(t, err)
		return len(checks) > 0 && !slices.ContainsFunc(checks, func(c *api.HealthCheck) bool { return c.Status != api.HealthPassing })
	}, patience, 50*time.Millisecond)

	require.NoError(t, l.Stop(context.Background()))
	names, err := elsewhere.Services().Wait(ctx, func(names []string) bool { return len(names) == 0 })
	require.NoError(t, err, "%v", names)
	services, _, err = client.Catalog().Services(nil)
	require.NoError(t, err)
	require.Len(t, services, 1, "Consul itself: %v", services)
}
