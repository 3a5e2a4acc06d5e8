package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
)

// The commands that the README shows, word for word, on a home folder of their own.
func TestTheCommandsOfTheReadme(t *testing.T) {
	needs(t, "bash")
	agent := consultest.Start(t)
	platformctl := built(t, "platformctl")
	s := newSettings(t)
	env := environ("ASHLAR_HOME="+s.home, "ASHLAR_GATEWAY_ADDR="+s.gateway, "CONSUL_HTTP_ADDR="+agent.Addr, "ASHLAR_CONFIG_HOME="+filepath.Join(t.TempDir(), "config"))
	t.Cleanup(func() { run(t, stopWithin, env, platformctl, "down") })

	blocks := section(t, readme, "The command line")
	require.Len(t, blocks, 1)
	ran, code := run(t, startWithin+stopWithin, env, "bash", "-c", "set -eu; cd '"+root+"'\n"+blocks[0].text)
	require.Zero(t, code, "%s\n%s", ran.stdout, ran.stderr)
	said := ran.stdout.String()
	for _, service := range services {
		assert.Contains(t, said, service)
	}
	assert.Contains(t, said, `"email": "`+adminEmail+`"`, "what WhoAmI answers")
	assert.Contains(t, said, "ROOT HASH", "what audit verify says")
	own, err := ownServices(agent.Addr)
	require.NoError(t, err)
	assert.Empty(t, own)
}
