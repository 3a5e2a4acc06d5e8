// Command audit keeps the record of what was done on the platform, and shows it.
package main

import (
	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/audit"
)

func main() {
	fxadapter.Main("audit", "Keeps the record of what was done on the platform, and shows it, and proves that it is unchanged.", graph, service.DatabaseCommand(audit.Module(audit.Config{})))
}

func graph(cfg audit.Config) fx.Option {
	return fx.Options(fx.Supply(cfg, cfg.Config), fx.Provide(audit.Module, service.NewProcess))
}
