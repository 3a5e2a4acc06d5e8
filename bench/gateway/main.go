// Command gateway measures what the gateway costs, beside peers that do the same work: each a process of its own, on this
// machine, in one run, in rounds that take turns. What counts is the CPU time of the proxy's process for each request.
//
// It is a module of its own, outside the workspace, so that nothing that peers need becomes part of the product.
package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commandLine struct {
	Run         runCommand         `cmd:"" default:"withargs" help:"Measure, and print a table."`
	Convergence convergenceCommand `cmd:"" help:"Measure how soon the gateway goes by what has changed, and print a table."`
	Backend     backendCommand     `cmd:"" hidden:"" help:"Be the service behind the proxies."`
	Bare        bareCommand        `cmd:"" hidden:"" help:"Be a bare httputil.ReverseProxy."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var line commandLine
	k := kong.Parse(&line, kong.Name("bench-gateway"), kong.Description("Measures what the gateway costs."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}
