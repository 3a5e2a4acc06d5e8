// Command notes serves notes, which people share, search and watch.
package main

import (
	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/notes"
)

func main() {
	fxadapter.Main("notes", "Serves notes, which people share, search and watch.", graph)
}

func graph(cfg service.Config) fx.Option {
	return fx.Options(fx.Supply(cfg), fx.Provide(notes.Module, service.NewProcess))
}
