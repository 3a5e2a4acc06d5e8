// Package roles holds the commands about named sets of permissions: `platformctl roles`.
package roles

import (
	"strings"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// Commands are the commands of this package.
type Commands struct {
	Roles Roles `cmd:"" group:"People and what they may do" help:"Roles, which are sets of permissions: list, get, create, update, delete."`
}

// Roles is the command's own level.
type Roles struct {
	List   List   `cmd:"" help:"List the roles that can be granted in an organization, or everywhere; by name."`
	Get    Get    `cmd:"" help:"Show a role."`
	Create Create `cmd:"" help:"Add a role. You must hold what it permits."`
	Update Update `cmd:"" help:"Change a role's description or permissions. You must hold what it permits, before and after."`
	Delete Delete `cmd:"" help:"Delete a role, and take it from everybody who holds it."`
}

var columns = output.Columns[*authzv1.Role]{
	Header: []string{"NAME", "OF", "PERMISSIONS", "DESCRIPTION"},
	Row: func(r *authzv1.Role) []string {
		return []string{r.GetName(), of(r), strings.Join(r.GetPermissions(), " "), r.GetDescription()}
	},
}

// of says whose role it is.
func of(r *authzv1.Role) string {
	switch {
	case r.GetModule() != "" && r.GetRemoved():
		return "module " + r.GetModule() + " (removed)"
	case r.GetModule() != "":
		return "module " + r.GetModule()
	case r.GetOrganizationId() != "":
		return r.GetOrganizationId()
	default:
		return "everywhere"
	}
}

func service(c *client.Connection) authzv1connect.RoleServiceClient {
	return authzv1connect.NewRoleServiceClient(c.Client())
}
