// Package notes is the service that keeps notes, which people share, search and watch.
package notes

import (
	_ "embed" // module.yaml
	"io/fs"
	"sync"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/notes/internal/api"
	"ashlar.dev/services/notes/internal/feed"
	"ashlar.dev/services/notes/internal/store"
	"ashlar.dev/services/notes/migrations"
)

//go:generate go run ashlar.dev/platformctl/cmd/platformctl permissions generate --root ../.. notes
//go:embed module.yaml
var moduleYAML []byte

// Module returns what makes the service.
func Module() service.Module { return module{} }

var parsed = sync.OnceValue(func() *manifest.Manifest { return manifest.MustParse(moduleYAML) })

type module struct{}

func (module) Manifest() *manifest.Manifest { return parsed() }

func (module) Migrations() fs.FS { return migrations.FS }

func (module) Build(host *service.Host) (*service.Parts, error) {
	changes := feed.New(host.Log)
	s := store.New(host.Database, host.Trail, changes.Wake)
	notes := api.NewNotes(s, api.NewPeople(host.Clients), host.Decider, changes)
	return &service.Parts{
		Register:   func(server *connect.Server) { notesv1connect.RegisterNoteServiceHandler(server, notes) },
		Components: []lifecycle.Component{changes.Component(s)},
	}, nil
}
