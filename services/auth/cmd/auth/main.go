// Command auth signs people up, in and out.
package main

import (
	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/auth"
)

func main() {
	fxadapter.Main("auth", "Signs people up, in and out, and has the keys of their access tokens.", graph, service.DatabaseCommand(auth.Module(auth.Config{})))
}

func graph(cfg auth.Config) fx.Option {
	return fx.Options(fx.Supply(cfg.Config, auth.Module(cfg)), fx.Provide(service.NewProcess))
}
