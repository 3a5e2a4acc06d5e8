package fxadapter

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/fx"

	"ashlar.dev/kernel/config"
)

// exitFailure is the exit code of a process that could not start or could not go on. kong's own for wrong flags is 80.
const exitFailure = 1

// Main is the main function of a process: it reads the configuration C, builds the graph, runs it until SIGINT or
// SIGTERM, and exits: 0 after a clean stop, 1 after an error, which it prints once. A second signal exits at once.
func Main[C any](name, description string, graph func(C) fx.Option) {
	os.Exit(run(name, description, graph, os.Args[1:]))
}

func run[C any](name, description string, graph func(C) fx.Option, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back, so that a second one ends the process.
	context.AfterFunc(ctx, stop)

	var cfg C
	err := config.Parse(&cfg, name, description, args, os.Stdout, os.Exit)
	if err == nil {
		err = Run(ctx, graph(cfg))
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return exitFailure
	}
	return 0
}
