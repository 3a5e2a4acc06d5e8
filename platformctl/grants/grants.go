// Package grants holds the commands about who holds which role where: `platformctl grants`.
package grants

import (
	"cmp"
	"context"
	"fmt"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/users"
)

// Commands are the commands of this package.
type Commands struct {
	Grants Grants `cmd:"" group:"People and what they may do" help:"Who holds which role where: list, grant, revoke."`
}

// Grants is the command's own level.
type Grants struct {
	List   List   `cmd:"" help:"List who holds which role in an organization, or everywhere; oldest first."`
	Grant  Grant  `cmd:"" help:"Give a person a role. You must hold what it permits."`
	Revoke Revoke `cmd:"" help:"Take a role from a person. You must hold what it permits."`
}

// everywhere is how a table names what is not in one organization.
const everywhere = "everywhere"

var columns = output.Columns[*authzv1.Grant]{
	Header: []string{"USER", "ROLE", "WHERE", "SINCE"},
	Row: func(g *authzv1.Grant) []string {
		return []string{g.GetUserId(), g.GetRole(), cmp.Or(g.GetOrganizationId(), everywhere), output.Time(g.GetCreatedAt())}
	},
}

func service(c *client.Connection) authzv1connect.GrantServiceClient {
	return authzv1connect.NewGrantServiceClient(c.Client())
}

// List is a command.
type List struct {
	client.Flags
	client.WhereFlags
	output.Flag
	client.PageFlags

	User string `help:"Only what this person holds: an id or an email address." placeholder:"USER"`
}

// Help implements kong.HelpProvider.
func (*List) Help() string {
	return "Example:\n\n  platformctl grants list --everywhere --user bob@example.com"
}

// Run implements the command.
func (l *List) Run(ctx context.Context, streams *output.Streams) error {
	return l.With(ctx, func(c *client.Connection) error {
		where, err := l.Where(c)
		if err != nil {
			return err
		}
		person, err := users.ID(ctx, c, l.User)
		if err != nil {
			return err
		}
		grants, err := client.Pages(l.PageFlags, streams.Err, func(size int32, token string) ([]*authzv1.Grant, string, error) {
			page, err := service(c).ListGrants(ctx, &authzv1.ListGrantsRequest{OrganizationId: where, UserId: person, PageSize: size, PageToken: token})
			return page.GetGrants(), page.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		return l.Show(streams.Out, columns.List(grants, "Nobody holds a role there."))
	})
}

// Grant is a command.
type Grant struct {
	client.Flags
	client.WhereFlags
	output.Flag

	User string `arg:"" help:"Id or email address of the person."`
	Role string `arg:"" predictor:"role" help:"Name of the role."`
}

// Help implements kong.HelpProvider.
func (*Grant) Help() string {
	return "Example:\n\n  platformctl grants grant bob@example.com identity.manager --org org_06h0v1ay63k8e8qsk2ec1jgs24"
}

// Run implements the command.
func (g *Grant) Run(ctx context.Context, streams *output.Streams) error {
	return g.With(ctx, func(c *client.Connection) error {
		where, err := g.Where(c)
		if err != nil {
			return err
		}
		person, err := users.ID(ctx, c, g.User)
		if err != nil {
			return err
		}
		answer, err := service(c).GrantRole(ctx, &authzv1.GrantRoleRequest{UserId: person, Role: g.Role, OrganizationId: where})
		if err != nil {
			return err
		}
		return g.Show(streams.Out, columns.One(answer.GetGrant()))
	})
}

// Revoke is a command.
type Revoke struct {
	client.Flags
	client.WhereFlags

	User string `arg:"" help:"Id or email address of the person."`
	Role string `arg:"" predictor:"role" help:"Name of the role."`
}

// Help implements kong.HelpProvider.
func (*Revoke) Help() string {
	return "Example:\n\n  platformctl grants revoke bob@example.com identity.manager --org org_06h0v1ay63k8e8qsk2ec1jgs24"
}

// Run implements the command.
func (r *Revoke) Run(ctx context.Context, streams *output.Streams) error {
	return r.With(ctx, func(c *client.Connection) error {
		where, err := r.Where(c)
		if err != nil {
			return err
		}
		person, err := users.ID(ctx, c, r.User)
		if err != nil {
			return err
		}
		if _, err := service(c).RevokeRole(ctx, &authzv1.RevokeRoleRequest{UserId: person, Role: r.Role, OrganizationId: where}); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "%s does not hold %s there (%s).\n", output.Clean(person), output.Clean(r.Role), output.Clean(cmp.Or(where, everywhere)))
		return nil
	})
}
