// Package migrations holds the versions of the service's database, for each dialect. `task migrate:diff NAME=…` writes
// the next one from ent/schema.
package migrations

import "embed"

// FS holds the folders sqlite and postgres.
//
//go:embed sqlite postgres
var FS embed.FS
