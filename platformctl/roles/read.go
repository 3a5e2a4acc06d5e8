package roles

import (
	"context"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// List is a command.
type List struct {
	client.Flags
	client.WhereFlags
	output.Flag
	client.PageFlags
}

// Help implements kong.HelpProvider.
func (*List) Help() string { return "Example:\n\n  platformctl roles list --everywhere" }

// Run implements the command.
func (l *List) Run(ctx context.Context, streams *output.Streams) error {
	return l.With(ctx, func(c *client.Connection) error {
		where, err := l.Where(c)
		if err != nil {
			return err
		}
		roles, err := client.Pages(l.PageFlags, streams.Err, func(size int32, token string) ([]*authzv1.Role, string, error) {
			page, err := service(c).ListRoles(ctx, &authzv1.ListRolesRequest{OrganizationId: where, PageSize: size, PageToken: token})
			return page.GetRoles(), page.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		return l.Show(streams.Out, columns.List(roles, "There are no roles."))
	})
}

// Get is a command.
type Get struct {
	client.Flags
	client.WhereFlags
	output.Flag

	Role string `arg:"" predictor:"role" help:"Name of the role."`
}

// Help implements kong.HelpProvider.
func (*Get) Help() string { return "Example:\n\n  platformctl roles get identity.manager --everywhere" }

// Run implements the command.
func (g *Get) Run(ctx context.Context, streams *output.Streams) error {
	return g.With(ctx, func(c *client.Connection) error {
		where, err := g.Where(c)
		if err != nil {
			return err
		}
		answer, err := service(c).GetRole(ctx, &authzv1.GetRoleRequest{OrganizationId: where, Name: g.Role})
		if err != nil {
			return err
		}
		return g.Show(streams.Out, columns.One(answer.GetRole()))
	})
}
