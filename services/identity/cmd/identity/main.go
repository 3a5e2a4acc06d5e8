// Command identity serves people, organizations, and who belongs to which.
package main

import (
	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/identity"
)

func main() {
	fxadapter.Main("identity", "Serves people, organizations, and who belongs to which.", graph, service.DatabaseCommand(identity.Module()))
}

func graph(cfg service.Config) fx.Option {
	return fx.Options(fx.Supply(cfg, identity.Module()), fx.Provide(service.NewProcess))
}
