package orgs

import (
	"context"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// List is a command.
type List struct {
	client.Flags
	output.Flag
	client.PageFlags
}

// Help implements kong.HelpProvider.
func (*List) Help() string { return "Example:\n\n  platformctl orgs list" }

// Run implements the command.
func (l *List) Run(ctx context.Context, streams *output.Streams) error {
	return l.With(ctx, func(c *client.Connection) error {
		found, err := Mine(ctx, c, l.PageFlags, streams)
		if err != nil {
			return err
		}
		return l.Show(streams.Out, columns.List(found, "You are a member of no organization."))
	})
}

// Mine returns the organizations of whoever is signed in.
func Mine(ctx context.Context, c *client.Connection, pages client.PageFlags, streams *output.Streams) ([]*identityv1.Organization, error) {
	return client.Pages(pages, streams.Err, func(size int32, token string) ([]*identityv1.Organization, string, error) {
		page, err := service(c).ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageSize: size, PageToken: token})
		return page.GetOrganizations(), page.GetNextPageToken(), err
	})
}

// Get is a command.
type Get struct {
	client.Flags
	output.Flag

	Org string `arg:"" optional:"" predictor:"org" help:"Id of the organization; that of the profile where not given."`
}

// Help implements kong.HelpProvider.
func (*Get) Help() string { return "Example:\n\n  platformctl orgs get org_06h0v1ay63k8e8qsk2ec1jgs24" }

// Run implements the command.
func (g *Get) Run(ctx context.Context, streams *output.Streams) error {
	return g.With(ctx, func(c *client.Connection) error {
		id, err := client.Named(c, g.Org)
		if err != nil {
			return err
		}
		answer, err := service(c).GetOrganization(ctx, &identityv1.GetOrganizationRequest{OrganizationId: id})
		if err != nil {
			return err
		}
		return g.Show(streams.Out, columns.One(answer.GetOrganization()))
	})
}
