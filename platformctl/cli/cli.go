// Package cli is the command line of platformctl: it parses arguments, runs the command and turns its result into an
// exit code. What a command does is in the package of its group; this one must not know how.
package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/curl"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/modules"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/permissions"
	"ashlar.dev/platformctl/scaffold"
	"ashlar.dev/platformctl/services"
	"ashlar.dev/platformctl/signin"
)

const description = "Runs and operates an Ashlar platform."

// commands are all commands, by group.
type commands struct {
	Local    local.Commands    `embed:""`
	Scaffold scaffold.Commands `embed:""`
	Signin   signin.Commands   `embed:""`
	Curl     curl.Commands     `embed:""`

	Services    services.Commands    `cmd:"" help:"See the services of a running platform; start, stop and restart those on this machine."`
	Modules     modules.Commands     `cmd:"" help:"Check the manifests of modules in this repository."`
	Permissions permissions.Commands `cmd:"" help:"Permissions that the modules of this repository declare, and constants for them."`
}

// stopped is panicked with where kong wants to end the process, which only main may do.
type stopped int

// Run runs the command that args (without the program's name) ask for, and returns its exit code: see package exit.
// Results go to stdout, errors and what a person is told on the way to stderr.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case stopped:
			code = int(value)
		default:
			panic(value)
		}
	}()
	parser, err := kong.New(&commands{}, kong.Name("platformctl"), kong.Description(description+"\n\n"+exit.Help),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { panic(stopped(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		panic(err) // a mistake in the tags of commands
	}
	command, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "platformctl: %v; see platformctl --help\n", err)
		return exit.Usage
	}
	command.BindTo(ctx, (*context.Context)(nil))
	err = client.Explain(command.Run(&output.Streams{In: stdin, Out: stdout, Err: stderr}))
	if err != nil && err.Error() != "" {
		_, _ = fmt.Fprintf(stderr, "platformctl: %v\n", err)
	}
	return exit.Code(err)
}
