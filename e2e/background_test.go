package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
)

// `up -d` returns when everything is ready; `down` stops it, and has nothing to do the second time.
func TestUpInTheBackground(t *testing.T) {
	agent := consultest.Start(t)
	platformctl := built(t, "platformctl")
	s := newSettings(t)
	env := environ("ASHLAR_HOME="+s.home, "ASHLAR_GATEWAY_ADDR="+s.gateway, "CONSUL_HTTP_ADDR="+agent.Addr)
	down := func() (*program, int) { return run(t, stopWithin, env, platformctl, "down") }
	t.Cleanup(func() { down() })

	begun, code := run(t, startWithin, env, platformctl, "up", "-d")
	require.Zero(t, code, begun.stderr)
	assert.Contains(t, begun.stdout.String(), "http://"+s.gateway)
	own, err := ownServices(agent.Addr)
	require.NoError(t, err)
	assert.Equal(t, services, own)
	admin := signIn(t, "http://"+s.gateway, adminEmail, passwordIn(t, s.home))
	assert.Equal(t, adminEmail, admin.email)

	second, code := run(t, startWithin, env, platformctl, "up", "-d")
	assert.Equal(t, 3, code, "a second `up` on the same home")
	assert.Contains(t, second.stderr.String(), s.home)
	assert.Contains(t, second.stderr.String(), "down`")

	ended, code := down()
	require.Zero(t, code, "%s%s", ended.stdout, ended.stderr)
	own, err = ownServices(agent.Addr)
	require.NoError(t, err)
	assert.Empty(t, own)
	_, err = os.Stat(filepath.Join(s.home, "auth.db"))
	assert.NoError(t, err)

	nothing, code := down()
	assert.Zero(t, code)
	assert.Contains(t, nothing.stdout.String(), "Nothing runs")
}
