// Package orgs holds the commands about organizations and who belongs to them: `platformctl orgs`.
package orgs

import (
	"strings"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// Commands are the commands of this package.
type Commands struct {
	Orgs Orgs `cmd:"" group:"People and what they may do" help:"Organizations: list, get, create, update, deactivate, reactivate, members, use."`
}

// Orgs is the command's own level.
type Orgs struct {
	List       List       `cmd:"" help:"List the organizations that you are a member of, in the order of joining."`
	Get        Get        `cmd:"" help:"Show an organization."`
	Create     Create     `cmd:"" help:"Add an organization; you become its owner."`
	Update     Update     `cmd:"" help:"Change an organization's name."`
	Deactivate Deactivate `cmd:"" help:"Close an organization: its data stays, nothing in it can be changed."`
	Reactivate Reactivate `cmd:"" help:"Undo deactivate."`
	Members    Members    `cmd:"" help:"Who belongs to an organization: list, add, remove."`
	Use        Use        `cmd:"" help:"Remember the organization that commands are about where they do not name another."`
}

var columns = output.Columns[*identityv1.Organization]{
	Header: []string{"ID", "NAME", "STATE", "CREATED"},
	Row: func(o *identityv1.Organization) []string {
		return []string{o.GetId(), o.GetDisplayName(), state(o.GetState()), output.Time(o.GetCreatedAt())}
	},
}

func state(s identityv1.OrganizationState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "ORGANIZATION_STATE_"))
}

func service(c *client.Connection) identityv1connect.OrganizationServiceClient {
	return identityv1connect.NewOrganizationServiceClient(c.Client())
}
