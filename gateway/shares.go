package gateway

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ashlar.dev/kernel/balance"
)

// share gives versions their shares. One with a share of nothing is taken for not there.
func (g *Gateway) share(cfg Config) {
	shares := cfg.shares()
	without := map[string][]string{}
	for name, versions := range shares {
		for version, percent := range versions {
			if percent == 0 {
				without[name] = append(without[name], version)
			}
		}
	}
	g.balancer.SetShares(shares)
	g.learner.LeaveOut(without)
}

// shares is what of each service goes to which version. The configuration has been validated.
func (c Config) shares() map[string]balance.Shares {
	out := map[string]balance.Shares{}
	for key, percent := range c.VersionShares {
		name, version, _ := strings.Cut(key, "@")
		if out[name] == nil {
			out[name] = balance.Shares{}
		}
		out[name][version] = percent
	}
	return out
}

func (c Config) validateShares() error {
	var errs []error
	sums := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(c.VersionShares)) {
		percent := c.VersionShares[key]
		name, version, ok := strings.Cut(key, "@")
		if !ok || name == "" || version == "" {
			errs = append(errs, fmt.Errorf("gateway-version-shares: %q: want SERVICE@VERSION, such as notes@2.0.0", key))
			continue
		}
		if percent < 0 || percent > 100 {
			errs = append(errs, fmt.Errorf("gateway-version-shares: %s: %d is no percentage", key, percent))
		}
		if sums[name] += percent; sums[name] > 100 {
			errs = append(errs, fmt.Errorf("gateway-version-shares: the versions of %s have more than 100 percent", name))
		}
	}
	return errors.Join(errs...)
}
