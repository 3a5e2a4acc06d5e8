package cli_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/allinone"
	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
)

const (
	adminEmail    = "admin@ashlar.dev"
	adminPassword = "the first administrator"
)

// common is the platform that all scripts talk to: every service and the gateway, in this process.
var common struct {
	once     sync.Once
	err      error
	dir      string
	address  string
	platform *allinone.Platform
}

// sharedGateway returns the URL of its gateway; it starts when the first script asks.
func sharedGateway(t testing.TB) string {
	t.Helper()
	common.once.Do(func() { common.err = startShared() })
	require.NoError(t, common.err)
	return "http://" + common.address
}

func startShared() error {
	var err error
	if common.dir, err = os.MkdirTemp("", "ashlar-cli-"); err != nil {
		return err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	keyFile, passwordFile := filepath.Join(common.dir, "key"), filepath.Join(common.dir, "password")
	for path, content := range map[string]string{keyFile: base64.StdEncoding.EncodeToString(random), passwordFile: adminPassword} {
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	key, err := workload.ReadClusterKey(keyFile)
	if err != nil {
		return err
	}
	cfg := allinone.Config{
		Key: key,
		Database: func(name string) config.Secret {
			return config.Secret("sqlite://" + filepath.Join(common.dir, name+".db"))
		},
		AdminEmail: adminEmail, AdminPasswordFile: passwordFile, Log: io.Discard,
		Gateway: gateway.Config{Config: service.Config{}, Addr: "127.0.0.1:0"},
	}
	if path := os.Getenv("ASHLAR_TEST_LOG"); path != "" {
		if cfg.Log, err = os.Create(path); err != nil {
			return err
		}
	}
	cfg.Gateway.DependencyTimeout, cfg.Gateway.MigrationTimeout, cfg.Gateway.DrainTime = time.Minute, time.Minute, time.Millisecond
	cfg.Gateway.MaxTimeout = time.Minute
	cfg.Gateway.OpsAddr = "127.0.0.1:0"
	cfg.Gateway.LogLevel, cfg.Gateway.LogFormat = slog.LevelInfo, "json"
	platform, err := allinone.New(context.Background(), cfg, echo{})
	if err != nil {
		return err
	}
	if err := platform.Start(context.Background()); err != nil {
		return fmt.Errorf("start the platform: %w", err)
	}
	common.platform, common.address = platform, platform.Gateway.Address()
	return nil
}

func stopShared() error {
	if common.platform == nil {
		return nil
	}
	defer func() { _ = os.RemoveAll(common.dir) }()
	return common.platform.Stop(context.Background())
}
