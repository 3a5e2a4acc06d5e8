package main

import (
	"testing"

	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/services/audit"
)

func TestGraphIsComplete(t *testing.T) {
	if err := fx.ValidateApp(graph(audit.Config{}), fxadapter.Module()); err != nil {
		t.Fatal(err)
	}
}
