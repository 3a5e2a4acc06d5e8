package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/services"
)

func TestGatewaysAreFoundInConsul(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	registry, err := consul.New(consul.Config{Address: agent.Addr}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Close()) })
	find := func(id string) ([]target, error) {
		where := services.Where{HomeFlag: local.HomeFlag{Home: t.TempDir()}, ConsulAddr: agent.Addr}
		return Gateways{Where: where, Gateway: id}.find(t.Context())
	}
	_, err = find("")
	require.EqualError(t, err, "Consul knows no gateway")
	require.Equal(t, exit.NotFound, exit.Code(err))
	add := func(id, service, ops string) {
		i := discovery.Instance{ID: id, Service: service, Address: "127.0.0.1:1", Metadata: map[string]string{}}
		if ops != "" {
			i.Metadata[discovery.MetadataOps] = ops
		}
		require.NoError(t, registry.Register(t.Context(), discovery.Registration{Instance: i}))
	}
	add("gateway-0", name, "")
	_, err = find("")
	require.ErrorContains(t, err, "ASHLAR_OPS_ADDR turns it on")
	add("gateway-1", name, "127.0.0.1:11")
	add("gateway-2", name, "127.0.0.1:12")
	add("notes-1", "notes", "127.0.0.1:13")
	found, err := find("")
	require.NoError(t, err)
	require.ElementsMatch(t, []target{{"gateway-1", "127.0.0.1:11"}, {"gateway-2", "127.0.0.1:12"}}, found)
	found, err = find("gateway-2")
	require.NoError(t, err)
	require.Equal(t, []target{{"gateway-2", "127.0.0.1:12"}}, found)
	_, err = find("gateway-3")
	require.Equal(t, exit.NotFound, exit.Code(err))
}
