package main

import (
	"testing"

	"go.uber.org/fx"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/lifecycle/fxadapter"
)

func TestGraphIsComplete(t *testing.T) {
	if err := fx.ValidateApp(graph(gateway.Config{}), fx.Supply(config.Again[gateway.Config](nil)), fxadapter.Module()); err != nil {
		t.Fatal(err)
	}
}
