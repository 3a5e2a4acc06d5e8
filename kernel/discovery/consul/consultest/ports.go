package consultest

import (
	"context"
	"slices"
	"strings"

	"ashlar.dev/kernel/freeport"
)

// address is where the HTTP API is.
func (p ports) address() string { return freeport.Address(p.http) }

// choosePorts returns ports that nobody listens on.
func choosePorts(ctx context.Context) (ports, error) {
	chosen, err := freeport.Choose(ctx, 3)
	if err != nil {
		return ports{}, err
	}
	return ports{http: chosen[0], server: chosen[1], serf: chosen[2]}, nil
}

// withoutConsul drops the variables that would make the agent another one than the test wants.
func withoutConsul(environ []string) []string {
	return slices.DeleteFunc(environ, func(variable string) bool { return strings.HasPrefix(variable, "CONSUL_") })
}
