// Package users holds the commands about the people that the platform knows: `platformctl users`.
package users

import (
	"strings"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// Commands are the commands of this package.
type Commands struct {
	Users Users `cmd:"" group:"People and what they may do" help:"People: list, get, create, update, deactivate, reactivate."`
}

// Users is the command's own level.
type Users struct {
	List       List       `cmd:"" help:"List people, in the order in which they were created."`
	Get        Get        `cmd:"" help:"Show a person."`
	Create     Create     `cmd:"" help:"Add a person, who has no way to sign in yet."`
	Update     Update     `cmd:"" help:"Change a person's name."`
	Deactivate Deactivate `cmd:"" help:"Keep a person from signing in and from refreshing tokens."`
	Reactivate Reactivate `cmd:"" help:"Undo deactivate."`
}

var columns = output.Columns[*identityv1.User]{
	Header: []string{"ID", "EMAIL", "NAME", "STATE", "CREATED"},
	Row: func(u *identityv1.User) []string {
		return []string{u.GetId(), u.GetEmail(), u.GetDisplayName(), state(u.GetState()), output.Time(u.GetCreatedAt())}
	},
}

func state(s identityv1.UserState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "USER_STATE_"))
}

func service(c *client.Connection) identityv1connect.UserServiceClient {
	return identityv1connect.NewUserServiceClient(c.Client())
}
