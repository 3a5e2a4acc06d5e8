// Command ashlar-ent generates what follows from a service's ent schema: the
// ent code and the migrations. It works on any folder that holds ent/schema in
// a Go module, and must not know a service by name.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Generate generateCommand `cmd:"" help:"Write the ent code of each service folder from its ent/schema."`
	Diff     diffCommand     `cmd:"" help:"Write a migration for SQLite and one for PostgreSQL where ent/schema has changed."`
	Hash     hashCommand     `cmd:"" help:"Write the checksums of migrations (atlas.sum) anew, after one was edited or written by hand."`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ashlar-ent:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	line := kong.Parse(&commands{},
		kong.Name("ashlar-ent"),
		kong.Description("Code and migrations from ent schemas."),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	return line.Run()
}
