package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandRunsWithTheEnvironmentOfUp(t *testing.T) {
	home, bin := filepath.Join(t.TempDir(), "it's a $HOME"), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(home, "env"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, "env", "auth"), []byte("ASHLAR_DATABASE_URL=\"${ASHLAR_AUTH_DATABASE_URL:?}\"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "auth"), []byte("#!/bin/sh\necho \"$@\"; env"), 0o700))
	t.Setenv("ASHLAR_AUTH_DATABASE_URL", "postgres://auth:geheim@db/auth?a=b&c=d")
	t.Setenv("ASHLAR_IDENTITY_DATABASE_URL", "postgres://of another program")
	t.Setenv("ASHLAR_ADMIN_PASSWORD", "of another program")
	t.Setenv("ASHLAR_TOKEN", "of a person")
	t.Setenv("ASHLAR_PASSWORD", "of a person")
	command, err := Command(t.Context(), home, bin, "auth", "db", "it's one argument")
	require.NoError(t, err)
	require.NotContains(t, strings.Join(command.Args, " "), "geheim")
	out, err := command.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "db it's one argument\n")
	require.Contains(t, string(out), "\nASHLAR_DATABASE_URL=postgres://auth:geheim@db/auth?a=b&c=d\n")
	require.NotContains(t, string(out), "of a person")
	require.NotContains(t, string(out), "of another program")

	_, err = Command(t.Context(), home, bin, "audit")
	require.ErrorContains(t, err, "never started")
	_, err = Command(t.Context(), home, t.TempDir(), "auth")
	require.ErrorContains(t, err, "--bin")
}

func TestServicesGetNothingPersonal(t *testing.T) {
	env := &environment{inherited: map[string]string{"ASHLAR_TOKEN": "t", "ASHLAR_PASSWORD": "p", "ASHLAR_PROFILE": "x", "ASHLAR_LOG_LEVEL": "WARN"}}
	environ := env.process(program{name: "audit"}, "audit-1", "127.0.0.1:0")
	require.Contains(t, environ, "ASHLAR_LOG_LEVEL=WARN")
	for _, variable := range environ {
		require.NotRegexp(t, "^ASHLAR_(TOKEN|PASSWORD|PROFILE)=", variable)
	}
}

func TestGatewayURL(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		":8080":          "http://127.0.0.1:8080",
		"0.0.0.0:8080":   "http://127.0.0.1:8080",
		"'[::]:8080'":    "http://127.0.0.1:8080",
		"'[::1]:8080'":   "http://[::1]:8080",
		"gateway:8080":   "http://gateway:8080",
		"127.0.0.1:0":    "", // any free one, and nothing runs
		"nonsense":       "",
	} {
		home := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(home, "env"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(home, "env", "gateway"), []byte("# x\nASHLAR_CONSUL_ADDR=x\nASHLAR_GATEWAY_ADDR="+address+"\n"), 0o600))
		require.Equal(t, want, GatewayURL(t.Context(), home), address)
	}
	require.Empty(t, GatewayURL(t.Context(), t.TempDir()))
}
