package main

import (
	"testing"

	"go.uber.org/fx"

	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/services/auth"
)

func TestGraphIsComplete(t *testing.T) {
	if err := fx.ValidateApp(graph(auth.Config{}), fxadapter.Module()); err != nil {
		t.Fatal(err)
	}
}
