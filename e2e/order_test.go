package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
)

// ready asks a process whether it can serve.
func ready(ops string) (status int, why string, err error) {
	response, err := plain.Get("http://" + ops + "/readyz")
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(body)), err
}

// startAlone starts one service without platformctl, and returns where its /readyz is.
func startAlone(t testing.TB, service, consul string, more ...string) (p *program, ops string) {
	t.Helper()
	env, dir := alone(t, consul)
	ops, err := freeAddress()
	require.NoError(t, err)
	env = append(env, database(dir, service), "ASHLAR_OPS_ADDR="+ops)
	return startProgram(t, append(env, more...), built(t, service)), ops
}

// A service whose dependencies do not come says for whom it waits, and past its limit what to do about it.
func TestAServiceThatWaitsInVain(t *testing.T) {
	agent := consultest.Start(t)
	p, ops := startAlone(t, "auth", agent.Addr, "ASHLAR_DEPENDENCY_TIMEOUT=2s")
	require.NoError(t, waitsFor(ops, "identity", "authz"))
	assert.NotZero(t, p.wait(t, failWithin))
	for _, text := range []string{"identity", "auth depends on", "2s", "ASHLAR_DEPENDENCY_TIMEOUT"} {
		assert.Contains(t, p.stderr.String(), text)
	}
	own, err := ownServices(agent.Addr)
	require.NoError(t, err)
	assert.Empty(t, own)
}

// waitsFor waits until a process says that it waits for these services.
func waitsFor(ops string, names ...string) error {
	return eventually(failWithin, func() error {
		status, why, err := ready(ops)
		if err != nil {
			return err
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(why, "waiting for "+strings.Join(names, ", ")) {
			return fmt.Errorf("/readyz answers %d %q", status, why)
		}
		return nil
	})
}

// The order of starting does not matter: here it is the wrong way round, from the gateway down.
func TestStartOrderDoesNotMatter(t *testing.T) {
	agent := consultest.Start(t)
	env, dir := alone(t, agent.Addr)
	gateway, err := freeAddress()
	require.NoError(t, err)
	env = append(env, "ASHLAR_GATEWAY_ADDR="+gateway, "ASHLAR_ADMIN_EMAIL="+adminEmail)

	var started []*program
	opsOf := map[string]string{}
	launch := func(service string, more ...string) {
		ops, err := freeAddress()
		require.NoError(t, err)
		opsOf[service] = ops
		own := append(append([]string{}, env...), "ASHLAR_OPS_ADDR="+ops)
		started = append(started, startProgram(t, append(own, more...), built(t, service)))
	}
	launch("gateway")
	launch("auth", database(dir, "auth"), "ASHLAR_ADMIN_PASSWORD="+password)
	require.NoError(t, waitsFor(opsOf["auth"], "identity", "authz"))
	launch("audit", database(dir, "audit"))
	require.NoError(t, waitsFor(opsOf["audit"], "authz"))
	launch("identity", database(dir, "identity"))
	require.NoError(t, waitsFor(opsOf["identity"], "authz"))
	launch("authz", database(dir, "authz"))

	for service, ops := range opsOf {
		require.NoError(t, eventually(startWithin, func() error {
			status, why, err := ready(ops)
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%s: /readyz answers %d %q", service, status, why)
			}
			return err
		}))
	}
	require.NoError(t, eventually(failWithin, func() error {
		a, err := speeches[0].try(t.Context(), call{url: "http://" + gateway, procedure: whoAmI, raw: []byte("{}")})
		if err == nil && a.code != "unauthenticated" {
			err = fmt.Errorf("the gateway does not know auth yet: %s", a)
		}
		return err
	}))
	admin := signIn(t, "http://"+gateway, adminEmail, password)
	assert.Equal(t, adminEmail, admin.email)

	// And they end in any order, with nothing left in Consul.
	for _, p := range started {
		p.signal(t, os.Interrupt)
	}
	for _, p := range started {
		assert.Zero(t, p.wait(t, stopWithin), "%s: %s", p.name, p.stderr)
	}
	own, err := ownServices(agent.Addr)
	require.NoError(t, err)
	assert.Empty(t, own)
}
