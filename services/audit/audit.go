// Package audit is the service that keeps the record of what was done on the platform, and shows it.
package audit

import (
	_ "embed" // module.yaml
	"io/fs"
	"sync"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/audit/internal/api"
	"ashlar.dev/services/audit/internal/store"
	"ashlar.dev/services/audit/migrations"
)

//go:generate go run ashlar.dev/platformctl/cmd/platformctl permissions generate --root ../.. audit
//go:embed module.yaml
var moduleYAML []byte

// Module returns what makes the service.
func Module() service.Module { return module{} }

var parsed = sync.OnceValue(func() *manifest.Manifest { return manifest.MustParse(moduleYAML) })

type module struct{}

func (module) Manifest() *manifest.Manifest { return parsed() }

func (module) Migrations() fs.FS { return migrations.FS }

func (module) Build(host *service.Host) (*service.Parts, error) {
	s := store.New(host.Database)
	return &service.Parts{Register: func(server *connect.Server) {
		auditv1connect.RegisterAuditServiceHandler(server, api.NewEvents(s))
		auditv1connect.RegisterIngestServiceHandler(server, api.NewIngest(s))
	}}, nil
}
