// Package core names the services that every platform has, and says what the others need of them beside what their manifests
// say: for services in one process (platform/loader) and for processes (platformctl). It knows names only, because the command
// line must not link what opens databases.
package core

import "ashlar.dev/kernel/manifest"

// Names of services.
const (
	// Audit keeps the record.
	Audit = "audit"
	// Auth signs people in, and has the keys of access tokens.
	Auth = "auth"
	// Authz decides who may do what.
	Authz = "authz"
)

// Rules is what services need of each other beside what their manifests say:
//
//   - Every service registers its permissions with authz before it serves, so all start after authz and stop before it.
//   - Every service delivers its events to audit. It can wait with that, and keeps them meanwhile; but one that stops
//     delivers what is left, so audit stops after it. Audit itself and those that it depends on are the exception: of
//     them only the delivery starts after audit and stops before it. What they record after that stays in their
//     outboxes until the next start.
//   - Every service asks auth for the keys of access tokens, but only when the first call comes, and it remembers them for
//     longer than a stop takes. So there is no order between auth and those that it does not depend on.
func Rules() manifest.Rules {
	return manifest.Rules{Needed: []string{Authz}, Outlasting: []string{Audit}}
}

// Running names the services that every other needs while it runs, though it starts without them: for the record, and for the
// keys of access tokens.
func Running() []string { return []string{Audit, Auth} }
