package users

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

	Email string `arg:"" help:"Email address."`
	Name  string `required:"" help:"Name to show." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (*Create) Help() string {
	return "Example:\n\n" + `  platformctl users create bob@example.com --name "Bob B."`
}

// Run implements the command.
func (n *Create) Run(ctx context.Context, streams *output.Streams) error {
	return n.With(ctx, func(c *client.Connection) error {
		answer, err := service(c).CreateUser(ctx, &identityv1.CreateUserRequest{Email: n.Email, DisplayName: n.Name, RequestId: n.Request()})
		if err != nil {
			return err
		}
		return n.Show(streams.Out, columns.One(answer.GetUser()))
	})
}

// Update is a command.
type Update struct {
	client.Flags
	output.Flag

	User string `arg:"" help:"Id or email address of the person."`
	Name string `required:"" help:"The new name." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (*Update) Help() string {
	return "Example:\n\n" + `  platformctl users update bob@example.com --name "Robert B."`
}

// Run implements the command.
func (u *Update) Run(ctx context.Context, streams *output.Streams) error {
	return u.With(ctx, func(c *client.Connection) error {
		id, err := ID(ctx, c, u.User)
		if err != nil {
			return err
		}
		answer, err := service(c).UpdateUser(ctx, &identityv1.UpdateUserRequest{
			User: &identityv1.User{Id: id, DisplayName: u.Name}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		})
		if err != nil {
			return err
		}
		return u.Show(streams.Out, columns.One(answer.GetUser()))
	})
}

// Deactivate is a command.
type Deactivate struct {
	client.Flags
	output.Flag

	User string `arg:"" help:"Id or email address of the person."`
}

// Help implements kong.HelpProvider.
func (*Deactivate) Help() string { return "Example:\n\n  platformctl users deactivate bob@example.com" }

// Run implements the command.
func (d *Deactivate) Run(ctx context.Context, streams *output.Streams) error {
	return d.With(ctx, func(c *client.Connection) error {
		id, err := ID(ctx, c, d.User)
		if err != nil {
			return err
		}
		answer, err := service(c).DeactivateUser(ctx, &identityv1.DeactivateUserRequest{UserId: id})
		if err != nil {
			return err
		}
		return d.Show(streams.Out, columns.One(answer.GetUser()))
	})
}

// Reactivate is a command.
type Reactivate struct {
	client.Flags
	output.Flag

	User string `arg:"" help:"Id or email address of the person."`
}

// Help implements kong.HelpProvider.
func (*Reactivate) Help() string { return "Example:\n\n  platformctl users reactivate bob@example.com" }

// Run implements the command.
func (r *Reactivate) Run(ctx context.Context, streams *output.Streams) error {
	return r.With(ctx, func(c *client.Connection) error {
		id, err := ID(ctx, c, r.User)
		if err != nil {
			return err
		}
		answer, err := service(c).ReactivateUser(ctx, &identityv1.ReactivateUserRequest{UserId: id})
		if err != nil {
			return err
		}
		return r.Show(streams.Out, columns.One(answer.GetUser()))
	})
}
