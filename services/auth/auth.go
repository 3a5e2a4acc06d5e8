// Package auth is the service that signs people up, in and out, and has the keys of their access tokens.
package auth

import (
	"context"
	_ "embed" // module.yaml
	"io/fs"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/auth/internal/account"
	"ashlar.dev/services/auth/internal/api"
	"ashlar.dev/services/auth/internal/keyring"
	"ashlar.dev/services/auth/internal/password"
	"ashlar.dev/services/auth/internal/setting"
	"ashlar.dev/services/auth/internal/store"
	"ashlar.dev/services/auth/migrations"
)

//go:generate go run ashlar.dev/platformctl/cmd/platformctl permissions generate --root ../.. auth
//go:embed module.yaml
var moduleYAML []byte

// What secrets are derived from the cluster key for. Changing one makes what is in the database unreadable; not so for API
// keys, which go on working, and whose secrets are only not told a second time as they were.
const (
	signingKeyPurpose   = "auth signing key"
	refreshTokenPurpose = "auth refresh token" //nolint:gosec // what a key is for, no secret
	apiKeyPurpose       = "auth api key"       //nolint:gosec // as above
)

// adminTimeout bounds how long the first administrator may take to make.
const adminTimeout = time.Minute

// Module returns what makes the service.
func Module(cfg Config) service.Module { return NewModule(cfg, setting.Default()) }

// NewModule is Module with other settings than those of a platform, for package authtest.
func NewModule(cfg Config, set setting.Set) service.Module { return module{cfg, set} }

var parsed = sync.OnceValue(func() *manifest.Manifest { return manifest.MustParse(moduleYAML) })

type module struct {
	cfg Config
	set setting.Set
}

func (module) Manifest() *manifest.Manifest { return parsed() }

func (module) Migrations() fs.FS { return migrations.FS }

func (m module) Build(host *service.Host) (*service.Parts, error) {
	cfg, set := m.cfg, m.set
	admin, err := cfg.checkAdmin()
	if err != nil {
		return nil, err
	}
	s := store.New(host.Database, host.Trail, set.Clock)
	ring, err := keyring.New(s, host.Key.Derive(signingKeyPurpose), set.Clock)
	if err != nil {
		return nil, err
	}
	people := account.NewPeople(host.Clients)
	desk := account.NewDesk(people, s, password.NewHasher(set.Passwords), host.Log)
	sweeper := account.NewSweeper(people, s, host.Log)
	tokens := api.NewTokens(ring, host.Key.Derive(refreshTokenPurpose), set.Clock)
	components := []lifecycle.Component{{Name: "keys", Start: ring.Open}}
	if admin {
		administrator := account.NewAdministrator(desk, host.Clients, host.Log)
		components = append(components, lifecycle.Component{Name: "administrator", StartTimeout: adminTimeout, Start: func(ctx context.Context) error {
			secret, err := cfg.adminPassword()
			if err != nil {
				return err
			}
			return administrator.Ensure(ctx, cfg.AdminEmail, secret)
		}})
	}
	components = append(components, lifecycle.Component{Name: "sweeper", Start: sweeper.Start, Stop: sweeper.Stop})
	return &service.Parts{
		Keys: ring, Components: components,
		Register: func(server *connect.Server) {
			authv1connect.RegisterAuthServiceHandler(server, api.NewAuth(s, people, desk, tokens))
			authv1connect.RegisterSessionServiceHandler(server, api.NewSessions(s))
			authv1connect.RegisterApiKeyServiceHandler(server, api.NewPrograms(s, people, tokens, host.Key.Derive(apiKeyPurpose)))
			authv1connect.RegisterKeyServiceHandler(server, api.NewKeys(ring))
		},
	}, nil
}
