package balance

import "maps"

// Shares says how much of what is sent to a service goes to instances of some of its versions: version to percent,
// whatever the weights of instances say between versions. What is left is for the versions that are not named. A version
// that has no instance gives its share to the others.
type Shares map[string]int

// whole is what all versions have together.
const whole = 100

// SetShares sets the shares of versions, by service, for requests from now on. It is safe for concurrent use.
func (t *Transport) SetShares(shares map[string]Shares) {
	next := make(map[string]Shares, len(shares))
	for service, s := range shares {
		next[service] = maps.Clone(s)
	}
	t.shares.Store(&next)
}

// sharesOf returns those of a service, and what tells which setting this is.
func (t *Transport) sharesOf(service string) (Shares, *map[string]Shares) {
	all := t.shares.Load()
	if all == nil {
		return nil, nil
	}
	return (*all)[service], all
}

// apply returns the weights of kinds such that versions have their shares, and those of one version are to each other as
// before.
func (s Shares) apply(weights map[kind]uint64) map[kind]uint64 {
	const fine = 1 << 24 // so that parts of small shares do not vanish
	left := uint64(whole)
	for _, percent := range s {
		left -= min(left, uint64(max(percent, 0)))
	}
	sums := map[string]uint64{} // of versions; "" for those without a share
	for k, weight := range weights {
		sums[s.named(k.version)] += weight
	}
	if left == 0 && len(sums) == 1 && sums[""] > 0 {
		return weights // all that have a share are gone
	}
	out := make(map[kind]uint64, len(weights))
	for k, weight := range weights {
		share := left
		name := s.named(k.version)
		if name != "" {
			share = uint64(max(s[name], 0))
		}
		out[k] = share * (weight * fine / sums[name])
	}
	return out
}

// named is the version where it has a share, else empty.
func (s Shares) named(version string) string {
	if _, ok := s[version]; ok {
		return version
	}
	return ""
}
