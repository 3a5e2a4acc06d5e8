package loader

import (
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/policy"
	"ashlar.dev/platform/trail"
)

// Rules is what services need of each other beside what their manifests say. It is said here, and nowhere else:
//
//   - Every service registers its permissions with authz before it serves, so all start after authz and stop before it.
//   - Every service delivers its events to audit. It can wait with that, and keeps them meanwhile; but one that stops
//     delivers what is left, so audit had better stop after it. Those that audit itself depends on are the exception: their
//     last events stay in their outboxes until the next start.
//   - Every service asks auth for the keys of access tokens, but only when the first call comes, and it remembers them for
//     longer than a stop takes. So there is no order between auth and those that it does not depend on.
func Rules() manifest.Rules {
	return manifest.Rules{Needed: []string{policy.Service}, Outlasting: []string{trail.Service}}
}
