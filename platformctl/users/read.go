package users

import (
	"context"
	"fmt"
	"strings"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// ID returns the id of a person who is named by id or by email address; the latter needs the permission to see people.
func ID(ctx context.Context, c *client.Connection, person string) (string, error) {
	if !strings.Contains(person, "@") {
		return person, nil
	}
	found, err := service(c).ListUsers(ctx, &identityv1.ListUsersRequest{Email: person, PageSize: 1})
	if err != nil {
		return "", err
	}
	if len(found.GetUsers()) == 0 {
		return "", exit.With(exit.NotFound, fmt.Errorf("nobody has the address %s", person))
	}
	return found.GetUsers()[0].GetId(), nil
}

// List is a command.
type List struct {
	client.Flags
	output.Flag
	client.PageFlags

	Email string `help:"Only whoever has this address." placeholder:"EMAIL"`
}

// Help implements kong.HelpProvider.
func (*List) Help() string { return "Example:\n\n  platformctl users list --all -o json" }

// Run implements the command.
func (l *List) Run(ctx context.Context, streams *output.Streams) error {
	return l.With(ctx, func(c *client.Connection) error {
		people, err := client.Pages(l.PageFlags, streams.Err, func(size int32, token string) ([]*identityv1.User, string, error) {
			page, err := service(c).ListUsers(ctx, &identityv1.ListUsersRequest{PageSize: size, PageToken: token, Email: l.Email})
			return page.GetUsers(), page.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		return l.Show(streams.Out, columns.List(people, "Nobody is there."))
	})
}

// Get is a command.
type Get struct {
	client.Flags
	output.Flag

	User string `arg:"" help:"Id or email address of the person."`
}

// Help implements kong.HelpProvider.
func (*Get) Help() string { return "Example:\n\n  platformctl users get bob@example.com" }

// Run implements the command.
func (g *Get) Run(ctx context.Context, streams *output.Streams) error {
	return g.With(ctx, func(c *client.Connection) error {
		id, err := ID(ctx, c, g.User)
		if err != nil {
			return err
		}
		answer, err := service(c).GetUser(ctx, &identityv1.GetUserRequest{UserId: id})
		if err != nil {
			return err
		}
		return g.Show(streams.Out, columns.One(answer.GetUser()))
	})
}
