package e2e

import (
	"context"

	"ashlar.dev/kernel/freeport"
)

// freeAddress returns a loopback address that nobody uses.
func freeAddress() (string, error) {
	ports, err := freeport.Choose(context.Background(), 1)
	if err != nil {
		return "", err
	}
	return freeport.Address(ports[0]), nil
}
