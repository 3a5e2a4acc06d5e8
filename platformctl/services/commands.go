// Package services is what `platformctl services` does: it shows the services of a running platform, from Consul and from
// the services themselves, and changes what an `up` on this machine runs. It knows no service by name.
package services

// Commands are the commands of this package.
type Commands struct {
	List     List     `cmd:"" help:"List the services of a running platform: versions, health, addresses, dependencies."`
	Describe Describe `cmd:"" help:"Show what a service serves: its RPCs and who may call them, permissions, roles, limits."`
	Graph    Graph    `cmd:"" help:"Show which service depends on which."`
	Wait     Wait     `cmd:"" help:"Wait until services are healthy."`
	Up       Up       `cmd:"" help:"Start services on this machine, and those that they depend on."`
	Down     Down     `cmd:"" help:"Stop services on this machine, and keep them down until they are started again."`
	Restart  Restart  `cmd:"" help:"Give services on this machine new processes, without an interruption where that can be."`
	TestLoad TestLoad `cmd:"" help:"Load services in one process, and report order, times and what failed."`
}
