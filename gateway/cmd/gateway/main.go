// Command gateway is the single entry point for traffic from outside.
package main

import (
	"go.uber.org/fx"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/lifecycle/fxadapter"
)

func main() {
	fxadapter.Main("gateway", "The single entry point for traffic from outside.", graph)
}

func graph(cfg gateway.Config) fx.Option {
	return fx.Options(fx.Supply(cfg), fx.Provide(gateway.NewProcess))
}
