package orgs

import (
	"context"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// Create is a command.
type Create struct {
	client.Flags
	output.Flag
	client.RequestFlag

	Name string `arg:"" help:"Name to show."`
}

// Help implements kong.HelpProvider.
func (*Create) Help() string { return "Example:\n\n  platformctl orgs create Acme" }

// Run implements the command.
func (n *Create) Run(ctx context.Context, streams *output.Streams) error {
	return n.With(ctx, func(c *client.Connection) error {
		answer, err := service(c).CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{DisplayName: n.Name, RequestId: n.Request()})
		if err != nil {
			return err
		}
		return n.Show(streams.Out, columns.One(answer.GetOrganization()))
	})
}

// Update is a command.
type Update struct {
	client.Flags
	output.Flag

	Org  string `arg:"" optional:"" predictor:"org" help:"Id of the organization; that of the profile where not given."`
	Name string `required:"" help:"The new name." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (*Update) Help() string { return "Example:\n\n  platformctl orgs update --name Apex" }

// Run implements the command.
func (u *Update) Run(ctx context.Context, streams *output.Streams) error {
	return u.With(ctx, func(c *client.Connection) error {
		id, err := client.Named(c, u.Org)
		if err != nil {
			return err
		}
		answer, err := service(c).UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
			Organization: &identityv1.Organization{Id: id, DisplayName: u.Name},
			UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		})
		if err != nil {
			return err
		}
		return u.Show(streams.Out, columns.One(answer.GetOrganization()))
	})
}

// Deactivate is a command. It takes no organization from the profile: what closes one has to name it.
type Deactivate struct {
	client.Flags
	output.Flag

	Org string `arg:"" predictor:"org" help:"Id of the organization."`
}

// Help implements kong.HelpProvider.
func (*Deactivate) Help() string {
	return "Example:\n\n  platformctl orgs deactivate org_06h0v1ay63k8e8qsk2ec1jgs24"
}

// Run implements the command.
func (d *Deactivate) Run(ctx context.Context, streams *output.Streams) error {
	return d.With(ctx, func(c *client.Connection) error {
		answer, err := service(c).DeactivateOrganization(ctx, &identityv1.DeactivateOrganizationRequest{OrganizationId: d.Org})
		if err != nil {
			return err
		}
		return d.Show(streams.Out, columns.One(answer.GetOrganization()))
	})
}

// Reactivate is a command.
type Reactivate struct {
	client.Flags
	output.Flag

	Org string `arg:"" predictor:"org" help:"Id of the organization."`
}

// Help implements kong.HelpProvider.
func (*Reactivate) Help() string {
	return "Example:\n\n  platformctl orgs reactivate org_06h0v1ay63k8e8qsk2ec1jgs24"
}

// Run implements the command.
func (r *Reactivate) Run(ctx context.Context, streams *output.Streams) error {
	return r.With(ctx, func(c *client.Connection) error {
		answer, err := service(c).ReactivateOrganization(ctx, &identityv1.ReactivateOrganizationRequest{OrganizationId: r.Org})
		if err != nil {
			return err
		}
		return r.Show(streams.Out, columns.One(answer.GetOrganization()))
	})
}
