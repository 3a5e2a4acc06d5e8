package modules

import (
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platformctl/output"
)

// Schema prints the JSON schema.
type Schema struct{}

// Help implements kong.HelpProvider.
func (*Schema) Help() string { return "Example:\n\n  platformctl modules schema > module.schema.json" }

// Run runs the command.
func (*Schema) Run(streams *output.Streams) error {
	_, err := streams.Out.Write(manifest.Schema())
	return err
}
