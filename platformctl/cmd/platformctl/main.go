// Command platformctl runs and operates an Ashlar platform.
package main

import (
	"context"
	"os"

	"ashlar.dev/platformctl/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
