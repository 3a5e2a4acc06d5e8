package memory_test

import (
	"testing"

	"ashlar.dev/kernel/discovery/discoverytest"
	"ashlar.dev/kernel/discovery/memory"
)

func TestContract(t *testing.T) {
	registry := memory.New()
	discoverytest.Run(t, discoverytest.World{Open: func(*testing.T) discoverytest.Registry { return registry }})
}

func TestNothingRegisteredIsKnownToBeNothing(t *testing.T) {
	registry := memory.New()
	if services, known, _ := registry.Services().Get(); !known || len(services) != 0 {
		t.Errorf("services %v, known %v; want none, known", services, known)
	}
	if list, known, _ := registry.Instances("orders").Get(); !known || len(list) != 0 {
		t.Errorf("instances %v, known %v; want none, known", list, known)
	}
}
