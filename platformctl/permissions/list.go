package permissions

import (
	"context"
	"strings"

	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platformctl/findings"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/workspace"
)

// List lists permissions.
type List struct {
	Tree   workspace.Flag `embed:""`
	Format output.Flag    `embed:""`

	Module []string `help:"Only the permissions of this module; can be given several times." placeholder:"NAME"`
}

// declared is a permission as it is listed.
type declared struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Module      string   `json:"module"`
	CheckedBy   string   `json:"checkedBy"`
	Procedures  []string `json:"procedures"`
}

type list []declared

// Table implements output.Tabular.
func (l list) Table() output.Table {
	table := output.Table{Header: []string{"PERMISSION", "MODULE", "NEEDED BY", "DESCRIPTION"}, Empty: "No module declares a permission."}
	for _, p := range l {
		var needed []string
		for _, procedure := range p.Procedures {
			// A person knows the package by the module.
			needed = append(needed, procedure[strings.LastIndexByte(procedure, '.')+1:])
		}
		if p.CheckedBy == string(manifest.ByCode) {
			needed = append(needed, "code")
		}
		table.Rows = append(table.Rows, []string{p.ID, p.Module, strings.Join(needed, ", "), p.Description})
	}
	return table
}

// Help implements kong.HelpProvider.
func (*List) Help() string {
	return `Example:

  platformctl permissions list -o json`
}

// Run runs the command.
func (c *List) Run(ctx context.Context, streams *output.Streams) error {
	repo, err := c.Tree.Repository()
	if err != nil {
		return err
	}
	schemas, faults, err := repo.Schemas(ctx)
	if err != nil {
		return err
	}
	if faults = append(repo.Faults, faults...); len(faults) > 0 {
		return findings.Show(output.Flag{}, streams.Err, faults, "")
	}
	modules, err := selected(repo, c.Module)
	if err != nil {
		return err
	}
	needed := schemas.NeededBy()
	permissions := list{}
	for _, m := range modules {
		for _, p := range m.Permissions {
			checkedBy := p.CheckedBy
			if checkedBy == manifest.ByRule {
				checkedBy = "rule"
			}
			permissions = append(permissions, declared{p.ID, p.Description, m.Name, string(checkedBy), append([]string{}, needed[p.ID]...)})
		}
	}
	return c.Format.Show(streams.Out, permissions)
}
