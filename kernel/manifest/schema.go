package manifest

import (
	_ "embed" // the schema
	"slices"
)

//go:embed module.schema.json
var schema []byte

// Schema returns the JSON schema of module.yaml (draft 2020-12). What it accepts, Parse may still refuse, where two
// places of the file do not fit together; what it refuses, Parse refuses.
func Schema() []byte { return slices.Clone(schema) }
