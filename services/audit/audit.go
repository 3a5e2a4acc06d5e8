// Package audit is the service that keeps the record of what was done on the platform, shows it, and proves that nobody
// has changed it since.
package audit

import (
	_ "embed" // module.yaml
	"io/fs"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/audit/internal/api"
	"ashlar.dev/services/audit/internal/store"
	"ashlar.dev/services/audit/migrations"
)

//go:generate go run ashlar.dev/platformctl/cmd/platformctl permissions generate --root ../.. audit
//go:embed module.yaml
var moduleYAML []byte

// logKeyPurpose is what the key is derived from the cluster key for that seals the log's own. Changing it makes that
// unreadable.
const logKeyPurpose = "audit log key"

// openTimeout bounds how long it may take to begin the log with the events of a database from before there was one.
const openTimeout = time.Hour

// Module returns what makes the service.
func Module(cfg Config) service.Module { return module{cfg} }

var parsed = sync.OnceValue(func() *manifest.Manifest { return manifest.MustParse(moduleYAML) })

type module struct{ cfg Config }

func (module) Manifest() *manifest.Manifest { return parsed() }

func (module) Migrations() fs.FS { return migrations.FS }

func (m module) Build(host *service.Host) (*service.Parts, error) {
	s, err := store.New(host.Database, store.Config{Origin: m.cfg.Origin, SealKey: host.Key.Derive(logKeyPurpose)})
	if err != nil {
		return nil, err
	}
	watcher := store.NewWatcher(s, host.Log)
	return &service.Parts{
		Components: []lifecycle.Component{
			{Name: "log", Start: s.Open, StartTimeout: openTimeout},
			{Name: "watcher", Start: watcher.Start, Stop: watcher.Stop},
		},
		Register: func(server *connect.Server) {
			auditv1connect.RegisterAuditServiceHandler(server, api.NewEvents(s, host.Decider))
			auditv1connect.RegisterIngestServiceHandler(server, api.NewIngest(s))
		},
	}, nil
}
