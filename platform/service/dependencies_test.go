package service

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/manifest"
)

// What never comes is waited for as long as the setting says, and the error says what to do.
func TestDependenciesAreNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		there []string // versions
		says  string
	}{
		"nothing is there":    {nil, "waited 3s for identity >= 1.2, which notes depends on, and no instance of it is ready: start it, or raise ASHLAR_DEPENDENCY_TIMEOUT"},
		"only wrong versions": {[]string{"1.1.0", ""}, "waited 3s for identity >= 1.2, which notes depends on, and of identity there is only version 1.1.0, unknown: start a version that will do"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				registry := memory.New()
				for i, version := range test.there {
					require.NoError(t, registry.Register(t.Context(), discovery.Registration{Instance: discovery.Instance{
						ID: "identity_" + string(rune('a'+i)), Service: "identity", Address: "127.0.0.1:1", Version: version,
					}}))
				}
				s := &Service{
					cfg: Config{DependencyTimeout: 3 * time.Second}, env: &Environment{Directory: registry}, status: health.NewStatus(), log: slog.New(slog.DiscardHandler),
					manifest: &manifest.Manifest{Name: "notes", DependsOn: []manifest.Dependency{{Name: "identity", Requirement: ">= 1.2"}}},
				}
				begun := time.Now()
				err := s.awaitDependencies(t.Context())
				require.Equal(t, s.cfg.DependencyTimeout, time.Since(begun))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, test.says)
			})
		})
	}
}
