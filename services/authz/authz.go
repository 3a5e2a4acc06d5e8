// Package authz is the service that knows permissions, roles, and who holds which role where.
package authz

import (
	"context"
	_ "embed" // module.yaml
	"io/fs"
	"sync"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/authz/internal/api"
	"ashlar.dev/services/authz/internal/store"
	"ashlar.dev/services/authz/migrations"
)

//go:generate go run ashlar.dev/platformctl/cmd/platformctl permissions generate --root ../.. authz
//go:embed module.yaml
var moduleYAML []byte

// Module returns what makes the service.
func Module() service.Module { return module{} }

var parsed = sync.OnceValue(func() *manifest.Manifest { return manifest.MustParse(moduleYAML) })

type module struct{}

func (module) Manifest() *manifest.Manifest { return parsed() }

func (module) Migrations() fs.FS { return migrations.FS }

func (module) Build(host *service.Host) (*service.Parts, error) {
	s := store.New(host.Database, host.Trail, host.Log)
	return &service.Parts{
		Register: func(server *connect.Server) {
			authzv1connect.RegisterCheckServiceHandler(server, api.NewChecks(s))
			authzv1connect.RegisterRoleServiceHandler(server, api.NewRoles(s))
			authzv1connect.RegisterGrantServiceHandler(server, api.NewGrants(s))
			authzv1connect.RegisterPermissionServiceHandler(server, api.NewPermissions(s))
			authzv1connect.RegisterPolicyServiceHandler(server, api.NewPolicy(s))
		},
		Decider: s,
		RegisterModule: lifecycle.Component{Start: func(ctx context.Context) error {
			return s.RegisterModule(ctx, store.Registration{
				Module: host.Manifest.Name, Version: host.Manifest.Version,
				Permissions: host.Manifest.ProtoPermissions(), Roles: host.Manifest.ProtoRoles(),
			})
		}},
	}, nil
}
