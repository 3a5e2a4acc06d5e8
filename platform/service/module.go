package service

import (
	"io/fs"
	"log/slog"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/trail"
)

// Module is what makes one service different from the others. A service implements it once; that serves a process of its
// own (NewProcess), the process that holds all services, and tests.
type Module interface {
	// Manifest returns the service's module.yaml. It is the same value each time, and nobody changes it.
	Manifest() *manifest.Manifest
	// Migrations returns the folders sqlite and postgres with the migrations of the service's database.
	Migrations() fs.FS
	// Build builds the service, once per process. It does no I/O and starts no goroutine: what runs, or has to be done
	// before the service is ready, is a component of what it returns.
	Build(host *Host) (*Parts, error)
}

// Host is what a module finds when it is built.
type Host struct {
	Manifest *manifest.Manifest
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	// Database is not connected yet; it is, with all migrations applied, when the module's components start.
	Database *database.Database
	// Trail puts changes on the audit record.
	Trail *trail.Trail
	// Clients call other services.
	Clients *rpc.Clients
	// Decider tells what people may do beside what the access rules of RPCs ask for.
	Decider access.Decider
	// Key is the cluster key, from which secrets of the service's own can be derived.
	Key workload.ClusterKey
}

// Parts is what a module is made of.
type Parts struct {
	// Register registers the RPC services that the manifest names.
	Register func(*connect.Server)
	// Components are started when the database is open and the services that this one depends on are there, and before
	// the first call is served. Their names get the service's name as a prefix.
	Components []lifecycle.Component
	// Keys is set by the service that has the keys of access tokens; the others ask it.
	Keys authn.KeySource
	// Decider is set by the service that decides about permissions; the others ask it.
	Decider access.Decider
	// RegisterModule is set by that service, too: it makes its own permissions and roles known to itself.
	RegisterModule lifecycle.Component
}
