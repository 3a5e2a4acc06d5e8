// Command authz serves permissions, roles, and who holds which role where.
package main

import (
	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/authz"
)

func main() {
	fxadapter.Main("authz", "Serves permissions, roles, and who holds which role where.", graph, service.DatabaseCommand(authz.Module()))
}

func graph(cfg service.Config) fx.Option {
	return fx.Options(fx.Supply(cfg, authz.Module()), fx.Provide(service.NewProcess))
}
