package roles

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// Create is a command.
type Create struct {
	client.Flags
	client.WhereFlags
	output.Flag

	Role        string   `arg:"" help:"Name: small letters, digits and dashes."`
	Description string   `help:"What it is for." placeholder:"TEXT"`
	Permission  []string `required:"" help:"What it permits: a permission, or module.resource.*, module.*, *; can be repeated." placeholder:"PERMISSION"`
}

// Help implements kong.HelpProvider.
func (*Create) Help() string {
	return "Example:\n\n  platformctl roles create greeter --permission identity.member.add --permission identity.member.read"
}

// Run implements the command.
func (n *Create) Run(ctx context.Context, streams *output.Streams) error {
	return n.With(ctx, func(c *client.Connection) error {
		where, err := n.Where(c)
		if err != nil {
			return err
		}
		answer, err := service(c).CreateRole(ctx, &authzv1.CreateRoleRequest{
			OrganizationId: where, Name: n.Role, Description: n.Description, Permissions: n.Permission,
		})
		if err != nil {
			return err
		}
		return n.Show(streams.Out, columns.One(answer.GetRole()))
	})
}

// Update is a command.
type Update struct {
	client.Flags
	client.WhereFlags
	output.Flag

	Role        string   `arg:"" predictor:"role" help:"Name of the role."`
	Description *string  `help:"The new description." placeholder:"TEXT"`
	Permission  []string `help:"What it permits from now on, and nothing else; can be repeated." placeholder:"PERMISSION"`
}

// Help implements kong.HelpProvider.
func (*Update) Help() string {
	return "Example:\n\n" + `  platformctl roles update greeter --description "Welcomes people"`
}

// Run implements the command.
func (u *Update) Run(ctx context.Context, streams *output.Streams) error {
	role, mask := &authzv1.Role{Name: u.Role}, &fieldmaskpb.FieldMask{}
	if u.Description != nil {
		role.Description = *u.Description
		mask.Paths = append(mask.Paths, "description")
	}
	if len(u.Permission) > 0 {
		role.Permissions = u.Permission
		mask.Paths = append(mask.Paths, "permissions")
	}
	if len(mask.GetPaths()) == 0 {
		return exit.With(exit.Usage, errors.New("say what to change: --description or --permission"))
	}
	return u.With(ctx, func(c *client.Connection) error {
		where, err := u.Where(c)
		if err != nil {
			return err
		}
		role.OrganizationId = where
		answer, err := service(c).UpdateRole(ctx, &authzv1.UpdateRoleRequest{Role: role, UpdateMask: mask})
		if err != nil {
			return err
		}
		return u.Show(streams.Out, columns.One(answer.GetRole()))
	})
}

// Delete is a command.
type Delete struct {
	client.Flags
	client.WhereFlags

	Role string `arg:"" predictor:"role" help:"Name of the role."`
}

// Help implements kong.HelpProvider.
func (*Delete) Help() string { return "Example:\n\n  platformctl roles delete greeter" }

// Run implements the command.
func (d *Delete) Run(ctx context.Context, streams *output.Streams) error {
	return d.With(ctx, func(c *client.Connection) error {
		where, err := d.Where(c)
		if err != nil {
			return err
		}
		if _, err := service(c).DeleteRole(ctx, &authzv1.DeleteRoleRequest{OrganizationId: where, Name: d.Role}); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "Deleted the role %s.\n", output.Clean(d.Role))
		return nil
	})
}
