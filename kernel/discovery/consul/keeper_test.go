package consul

import (
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

func TestDefinition(t *testing.T) {
	registration := discovery.Registration{
		Instance: discovery.Instance{
			ID: "orders-1", Service: "orders", Address: "[::1]:4001", Version: "1.0.0", Metadata: map[string]string{"zone": "north"},
		},
		CheckURL: "http://[::1]:4002/readyz",
	}
	definition, err := define(registration, Tag)
	require.NoError(t, err)
	require.Equal(t, &api.AgentServiceRegistration{
		ID: "orders-1", Name: "orders", Tags: []string{"ashlar"}, Address: "::1", Port: 4001,
		Meta: map[string]string{"zone": "north", "version": "1.0.0"},
		Check: &api.AgentServiceCheck{
			Name: "ready", HTTP: "http://[::1]:4002/readyz", Method: "GET", Interval: "1s", Timeout: "2s",
			Status: "passing", DeregisterCriticalServiceAfter: "1m0s",
		},
	}, definition)
	require.Equal(t, map[string]string{"zone": "north"}, registration.Metadata, "the caller's map is left alone")

	registration.CheckURL = ""
	definition, err = define(registration, Tag)
	require.NoError(t, err)
	require.Nil(t, definition.Check)
}
