package gateway_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/telemetry"
)

func parse(t *testing.T, args ...string) (gateway.Config, error) {
	t.Helper()
	var cfg gateway.Config
	err := config.Parse(&cfg, "gateway", "", args, io.Discard, func(int) {})
	return cfg, err
}

func TestConfig(t *testing.T) {
	t.Setenv("ASHLAR_CONSUL_ADDR", "consul:1")
	cfg, err := parse(t)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:8080", cfg.Addr)
	assert.Empty(t, cfg.CORSOrigins)
	assert.InDelta(t, 100, cfg.RateLimit, 0)
	assert.Equal(t, 200, cfg.RateBurst)
	assert.Equal(t, 100, cfg.MaxStreams)
	assert.Equal(t, 20_000, cfg.MaxInFlight)
	assert.Equal(t, time.Minute, cfg.MaxTimeout)
	assert.InDelta(t, 0.01, cfg.AccessLogSample, 0)
	assert.Equal(t, time.Second, cfg.AccessLogSlow)
	assert.Equal(t, "consul:1", cfg.ConsulAddr)
	assert.Equal(t, "127.0.0.1:0", cfg.OpsAddr)

	t.Setenv("ASHLAR_GATEWAY_ADDR", "0.0.0.0:9000")
	t.Setenv("ASHLAR_GATEWAY_VERSION_SHARES", "notes@2.0.0=5;notes@3.0.0=0")
	t.Setenv("ASHLAR_WEIGHT", "0")
	t.Setenv("ASHLAR_GATEWAY_MAX_STREAMS", "7")
	t.Setenv("ASHLAR_GATEWAY_CORS_ORIGINS", "http://localhost:*,https://app.example.com")
	cfg, err = parse(t)
	require.NoError(t, err)
	assert.Equal(t, "0.0.0.0:9000", cfg.Addr)
	assert.Equal(t, 7, cfg.MaxStreams)
	assert.Equal(t, map[string]int{"notes@2.0.0": 5, "notes@3.0.0": 0}, cfg.VersionShares)
	assert.Equal(t, 0, *cfg.Weight)
	assert.Equal(t, []string{"http://localhost:*", "https://app.example.com"}, cfg.CORSOrigins)

	_, err = parse(t, "--listen-addr=x")
	require.Error(t, err, "the gateway has one address for callers")
}

func TestConfigThatMakesNoSense(t *testing.T) {
	tel, err := telemetry.New(context.Background(), telemetry.Config{}, telemetry.Process{}, io.Discard)
	require.NoError(t, err)
	w := newEmptyWorld(t)
	for says, cfg := range map[string]gateway.Config{
		"rate-limit":   {RateLimit: -1},
		"rate-burst":   {RateLimit: 1},
		"SERVICE@VERS": {VersionShares: map[string]int{"notes": 5}},
		"percentage":   {VersionShares: map[string]int{"notes@1.0.0": 101}},
		"more than 10": {VersionShares: map[string]int{"notes@1.0.0": 60, "notes@2.0.0": 50}},
		"max-streams":  {MaxStreams: -1},
		"max-in":       {MaxInFlight: -1},
		"max-stream-m": {MaxStreamMessages: -1},
		"max-stream-b": {MaxStreamBytes: -1},
		"max-conn":     {MaxConnections: -1},
		"max-addr":     {MaxAddressConnections: -1},
		"connection-r": {MaxConnectionRequests: -1},
		"header-time":  {HeaderTimeout: -1},
		"idle-time":    {IdleTimeout: -1},
		"max-timeout":  {MaxTimeout: -1},
		"log-sample":   {AccessLogSample: 1.5},
		"log-slow":     {AccessLogSlow: -1},
		"cache-bytes":  {CacheBytes: -1},
		"cors-origins": {CORSOrigins: []string{"https://app.example.com/path"}},
		"gateway-trusted-proxies: \"10.0.0.1/8\"": {TrustedProxies: []string{"10.0.0.1/8"}},
		"gateway-allow": {Allow: []string{"somewhere"}},
		"gateway-deny":  {Deny: []string{"10.0.0.0/8", ""}},
		"gateway-http3": {HTTP3: true},
		"tls-key-file":  {TLSCertFile: "cert.pem"},
		"want scheme":   {CORSOrigins: []string{"app.example.com"}},
	} {
		_, err := gateway.New(cfg, w.env, tel, nil)
		require.ErrorContains(t, err, says)
	}
}
