package fxadapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"ashlar.dev/kernel/config"
)

type failure int

func (f failure) Error() string { return fmt.Sprintf("failure %d", int(f)) }
func (f failure) ExitCode() int { return int(f) }

type add struct {
	A, B int `arg:""`
}

// Run implements the command: sums above ten are too much.
func (a *add) Run(ctx context.Context, out io.Writer, target config.Target) error {
	if _, ok := target.Value.(*config.File); !ok || ctx.Err() != nil {
		return errors.New("no configuration, or no context")
	}
	if a.A+a.B > 10 {
		return fmt.Errorf("add: %w", failure(a.A+a.B))
	}
	_, err := fmt.Fprint(out, a.A+a.B)
	return err
}

func TestRunACommandInsteadOfServing(t *testing.T) {
	var out bytes.Buffer
	served := false
	graph := func(config.File) fx.Option {
		served = true
		return fx.Options()
	}
	program := func(args ...string) int {
		return run("test", "", graph, args, &out, []config.Command{{Name: "add", Help: "Adds.", Struct: &add{}}})
	}
	require.Zero(t, program("add", "1", "2"))
	require.Equal(t, "3", out.String())
	require.Equal(t, 13, program("add", "6", "7"))
	require.Equal(t, exitFailure, program("subtract"))
	require.False(t, served)
	program()
	require.True(t, served)
}
