package gateway_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway"
	"ashlar.dev/gateway/internal/limit/redistest"
	"ashlar.dev/kernel/lifecycle"
)

func TestGatewaysShareTheirLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "redis")
	require.NoError(t, os.WriteFile(file, []byte(redistest.Start(t, nil).URL()+"\n"), 0o600))
	admitted := 0
	var worlds []*world
	for range 2 {
		w := newWorld(t, func(c *gateway.Config) { c.RateLimit, c.RateBurst, c.LimitsRedisURLFile = 0.001, 60, file })
		w.add(echoOffer(t, newEcho()))
		w.routable(look, true)
		worlds = append(worlds, w)
	}
	for range 60 {
		for _, w := range worlds {
			status, _ := w.post(whoAmI, "{}", bearer(w.token(nil)))
			if status == http.StatusOK {
				admitted++
			}
		}
	}
	assert.GreaterOrEqual(t, admitted, 60)
	assert.Less(t, admitted, 90, "not shared, it would be 120")
}

func TestAddressOfRedisThatCannotBe(t *testing.T) {
	for says, content := range map[string]string{"want redis://": "http://hunter2@127.0.0.1", "others can read": "redis://127.0.0.1:1"} {
		file := filepath.Join(t.TempDir(), "redis")
		mode := os.FileMode(0o600)
		if says == "others can read" {
			mode = 0o644
		}
		require.NoError(t, os.WriteFile(file, []byte(content), mode))
		w := newEmptyWorld(t)
		w.addAuth()
		w.make(func(c *gateway.Config) { c.LimitsRedisURLFile = file })
		group, err := lifecycle.NewGroup(w.telem.Log, w.gateway.Components()...)
		require.NoError(t, err)
		err = group.Start(context.Background())
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hunter2")
		require.NoError(t, group.Stop(context.Background()))
	}
}
