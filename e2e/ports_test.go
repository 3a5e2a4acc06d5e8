package e2e

import (
	"context"

	"ashlar.dev/kernel/freeport"
)

// freeAddress returns a loopback address that nobody uses.
func freeAddress() (string, error) { return freeport.ChooseAddress(context.Background()) }
