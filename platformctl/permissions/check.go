package permissions

import (
	"context"
	"fmt"
	"slices"

	"ashlar.dev/kernel/modulecheck"
	"ashlar.dev/platformctl/findings"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/workspace"
)

// Check compares access rules with manifests.
type Check struct {
	Tree   workspace.Flag `embed:""`
	Format output.Flag    `embed:""`
}

// Help is the long help.
func (*Check) Help() string {
	return "Each RPC must have an access rule, each permission in a rule must be declared in a module.yaml, and each declared " +
		"permission must be needed by an RPC, unless it says `checkedBy: code`. `platformctl modules validate` checks this and more." +
		"\n\n  platformctl permissions check"
}

// Run runs the command.
func (c *Check) Run(ctx context.Context, streams *output.Streams) error {
	repo, err := c.Tree.Repository()
	if err != nil {
		return err
	}
	schemas, faults, err := repo.Schemas(ctx)
	if err != nil {
		return err
	}
	found := slices.Concat(repo.Faults, faults)
	if len(found) == 0 {
		found = slices.Concat(modulecheck.Rules(repo.Manifests, schemas), modulecheck.Declarations(repo.Manifests, schemas))
	}
	found.Sort()
	return findings.Show(c.Format, streams.Out, found, fmt.Sprintf("The access rules of all RPCs agree with the manifests of %d modules.", len(repo.Manifests)))
}
