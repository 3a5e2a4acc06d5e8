package main

import (
	"testing"

	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/service"
)

func TestGraphIsComplete(t *testing.T) {
	if err := fx.ValidateApp(graph(service.Config{}), fxadapter.Module()); err != nil {
		t.Fatal(err)
	}
}
