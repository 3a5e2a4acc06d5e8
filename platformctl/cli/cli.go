// Package cli is the command line of platformctl: it parses arguments, runs the command and turns its result into an
// exit code. What a command does is in the package of its group; this one must not know how.
package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"

	"ashlar.dev/platformctl/audit"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/completion"
	"ashlar.dev/platformctl/curl"
	"ashlar.dev/platformctl/database"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/gateway"
	"ashlar.dev/platformctl/grants"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/modules"
	"ashlar.dev/platformctl/orgs"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/permissions"
	"ashlar.dev/platformctl/roles"
	"ashlar.dev/platformctl/scaffold"
	"ashlar.dev/platformctl/services"
	"ashlar.dev/platformctl/signin"
	"ashlar.dev/platformctl/users"
)

const description = "Runs and operates an Ashlar platform.\n\n" +
	"To begin:\n\n  platformctl up -d\n  platformctl login --local\n  platformctl curl --list"

// commands are all commands, by group.
type commands struct {
	Local  local.Commands  `embed:""`
	Signin signin.Commands `embed:""`
	Curl   curl.Commands   `embed:""`
	Users  users.Commands  `embed:""`
	Orgs   orgs.Commands   `embed:""`
	Roles  roles.Commands  `embed:""`
	Grants grants.Commands `embed:""`
	Audit  audit.Commands  `embed:""`

	Services   services.Commands   `cmd:"" group:"Services" help:"See the services of a running platform; start, stop and restart those on this machine."`
	Gateway    gateway.Commands    `cmd:"" group:"Services" help:"See what the gateways of a running platform do."`
	Database   database.Commands   `embed:""`
	Completion completion.Commands `embed:""`

	Scaffold    scaffold.Commands    `embed:""`
	Modules     modules.Commands     `cmd:"" group:"A service of your own" help:"Check the manifests of modules in this repository."`
	Permissions permissions.Commands `cmd:"" group:"A service of your own" help:"Permissions that the modules of this repository declare, and constants for them."`
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
	kongplete.Complete(parser, kongplete.WithPredictors(completion.Predictors())) // ends here where a shell asks
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
