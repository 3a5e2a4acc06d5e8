// Package migrations embeds the migrations of the example.
package migrations

import "embed"

// FS has a folder per dialect.
//
//go:embed sqlite postgres
var FS embed.FS
