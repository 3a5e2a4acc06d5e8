package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
)

func passwordFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestTheFirstAdministratorFromAFile(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig(t)
	cfg.AdminEmail, cfg.AdminPasswordFile = ada, passwordFile(t, secret+"\n", 0o600)
	stop, err := w.start(cfg)
	require.NoError(t, err)
	me, err := w.WhoAmI(w.as(w.login()), &authv1.WhoAmIRequest{})
	require.NoError(t, err)
	assert.Contains(t, w.peers.Authz.Grants(), me.GetUserId()+" authz.admin ")
	stop()

	cfg.AdminPasswordFile, cfg.AdminPassword = "", "another password, later"
	_, err = w.start(cfg)
	require.NoError(t, err)
	w.login() // with the password of the first start
}

func TestAHalfConfigurationIsSaidBeforeTheStart(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  Config
		says string
	}{
		"no address":  {Config{AdminPassword: secret}, "set ASHLAR_ADMIN_EMAIL"},
		"no password": {Config{AdminEmail: ada}, "set ASHLAR_ADMIN_PASSWORD"},
		"both":        {Config{AdminEmail: ada, AdminPassword: secret, AdminPasswordFile: "file"}, "both set"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Module(test.cfg).Build(&service.Host{Key: workload.NewClusterKey()})
			require.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

func TestAWrongConfigurationIsSaidAtStart(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*testing.T, *Config)
		says string
	}{
		"no address":   {func(_ *testing.T, c *Config) { c.AdminEmail, c.AdminPassword = "ada", secret }, "email"},
		"short":        {func(_ *testing.T, c *Config) { c.AdminEmail, c.AdminPassword = ada, "fourteen chars" }, "15 characters"},
		"missing file": {func(_ *testing.T, c *Config) { c.AdminEmail, c.AdminPasswordFile = ada, "/nowhere" }, "/nowhere does not exist"},
		"file for all": {func(t *testing.T, c *Config) {
			c.AdminEmail, c.AdminPasswordFile = ada, passwordFile(t, secret, 0o644)
		}, "others can read"},
		"empty file": {func(t *testing.T, c *Config) {
			c.AdminEmail, c.AdminPasswordFile = ada, passwordFile(t, "\n", 0o600)
		}, "15 characters"},
		"large file": {func(t *testing.T, c *Config) {
			c.AdminEmail, c.AdminPasswordFile = ada, passwordFile(t, strings.Repeat("a", 5000), 0o600)
		}, "more than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cfg := testConfig(t)
			test.set(t, &cfg)
			_, err := w.start(cfg)
			require.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), secret)
			assert.Empty(t, w.peers.Identity.Users())
		})
	}
}

func TestAnotherClusterKeyIsSaidAtStart(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig(t)
	stop, err := w.start(cfg)
	require.NoError(t, err)
	stop()
	w.env.Key = workload.NewClusterKey()
	_, err = w.start(cfg)
	require.ErrorContains(t, err, "the cluster key is not the one")
}

func TestHelpSaysWhatThePasswordIsFor(t *testing.T) {
	var help bytes.Buffer
	var cfg Config
	require.NoError(t, config.Parse(&cfg, "auth", "", []string{
		"--admin-email=ada@example.com", "--admin-password-file=file", "--listen-addr=127.0.0.1:1",
	}, &help, func(int) {}))
	assert.Equal(t, ada, cfg.AdminEmail)
	assert.Equal(t, "127.0.0.1:1", cfg.ListenAddr)
	_ = config.Parse(&cfg, "auth", "", []string{"--help"}, &help, func(int) {})
	text := strings.Join(strings.Fields(help.String()), " ")
	assert.Contains(t, text, "changing it later changes nothing")
	assert.Contains(t, text, "ASHLAR_ADMIN_PASSWORD_FILE")
}
