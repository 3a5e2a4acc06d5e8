package main

import (
	"testing"

	"go.uber.org/fx"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/lifecycle/fxadapter"
)

func TestGraphIsComplete(t *testing.T) {
	if err := fx.ValidateApp(graph(gateway.Config{}), fxadapter.Module()); err != nil {
		t.Fatal(err)
	}
}
