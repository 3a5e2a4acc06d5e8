package gateway

import (
	"context"
	"errors"
	"fmt"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/kernel/config"
)

// shareLimits lets rate limits be shared by a Redis or Valkey, where there is one. That it does not answer is no reason not
// to start: until it does, this gateway counts for itself.
func (g *Gateway) shareLimits(ctx context.Context) error {
	if g.cfg.LimitsRedisURLFile == "" {
		return nil
	}
	address, err := config.ReadSecretFile(g.cfg.LimitsRedisURLFile)
	if err != nil {
		return fmt.Errorf("the address of Redis: %w; ASHLAR_GATEWAY_LIMITS_REDIS_URL_FILE names the file", err)
	}
	if g.redis, err = limit.NewRedis(address.Reveal()); err != nil {
		return fmt.Errorf("%s: %w", g.cfg.LimitsRedisURLFile, err)
	}
	if g.sharing, err = g.limits.Share(g.redis, g.telemetry.Log, g.telemetry.Metrics); err != nil {
		return errors.Join(err, g.redis.Close())
	}
	return g.sharing.Start(ctx)
}

func (g *Gateway) stopSharing(ctx context.Context) error {
	if g.sharing == nil {
		return nil
	}
	return errors.Join(g.sharing.Stop(ctx), g.redis.Close())
}
