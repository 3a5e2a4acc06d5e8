package fxadapter

import (
	"context"
	"errors"
	"fmt"
	"io"
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
//
// Where the arguments name one of the commands, that is run instead, until it ends or a signal ends its context. An error
// with a method ExitCode says how to exit.
func Main[C any](name, description string, graph func(C) fx.Option, commands ...config.Command) {
	os.Exit(run(name, description, graph, os.Args[1:], os.Stdout, commands))
}

func run[C any](name, description string, graph func(C) fx.Option, args []string, stdout io.Writer, commands []config.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back, so that a second one ends the process.
	context.AfterFunc(ctx, stop)

	var cfg C
	command, err := config.ParseCommand(&cfg, name, description, args, stdout, os.Exit, commands...)
	code := exitFailure
	switch {
	case err != nil:
	case command != nil:
		err = command(ctx)
		if coded, ok := errors.AsType[interface {
			error
			ExitCode() int
		}](err); ok {
			code = coded.ExitCode()
		}
	default:
		err = Run(ctx, graph(cfg), fx.Supply(again[C](name, description, args, commands)))
	}
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return code
}

// again returns how the configuration is read anew. What prints or exits has done so at the start.
func again[C any](name, description string, args []string, commands []config.Command) config.Again[C] {
	return func() (C, error) {
		var cfg C
		_, err := config.ParseCommand(&cfg, name, description, args, io.Discard, func(int) {}, commands...)
		return cfg, err
	}
}
