// Package identity is the service that knows people, organizations, and who belongs to which.
package identity

import (
	_ "embed" // module.yaml
	"io/fs"
	"sync"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/identity/internal/api"
	"ashlar.dev/services/identity/internal/store"
	"ashlar.dev/services/identity/migrations"
)

//go:generate go run ashlar.dev/platformctl/cmd/platformctl permissions generate --root ../.. identity
//go:embed module.yaml
var moduleYAML []byte

// Module returns what makes the service.
func Module() service.Module { return module{} }

var parsed = sync.OnceValue(func() *manifest.Manifest { return manifest.MustParse(moduleYAML) })

type module struct{}

func (module) Manifest() *manifest.Manifest { return parsed() }

func (module) Migrations() fs.FS { return migrations.FS }

func (module) Build(host *service.Host) (*service.Parts, error) {
	s := store.New(host.Database, host.Trail)
	roles := api.NewRoles(host.Clients)
	return &service.Parts{Register: func(server *connect.Server) {
		identityv1connect.RegisterUserServiceHandler(server, api.NewUsers(s))
		identityv1connect.RegisterOrganizationServiceHandler(server, api.NewOrganizations(s, roles))
		identityv1connect.RegisterAccountServiceHandler(server, api.NewAccounts(s))
	}}, nil
}
