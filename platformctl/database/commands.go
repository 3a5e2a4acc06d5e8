// Package database holds the commands about the databases of the platform on this machine: `platformctl db`. The
// migrations are in the programs of the services, so it asks these. It must not know a schema.
package database

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"

	"ashlar.dev/platform/dbstate"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/workspace"
)

// Commands are the commands of this package.
type Commands struct {
	DB DB `cmd:"" name:"db" group:"This machine" help:"Databases of the services: status, migrate, provision."`
}

// DB is the command's own level.
type DB struct {
	Status  Status  `cmd:"" help:"Show for each service its database, the version of its schema, and which migrations it lacks."`
	Migrate Migrate `cmd:"" help:"Apply the migrations that the databases lack; services do it at their start, too."`

	Provision Provision `cmd:"" help:"Make a role and a schema for each service in a PostgreSQL database, and the files with their addresses."`
}

// flags are what the commands have in common.
type flags struct {
	output.Flag
	local.HomeFlag

	Workspace workspace.Flag `embed:""`

	Services []string `arg:"" optional:"" name:"service" predictor:"service" help:"Only these services."`
	Bin      string   `help:"Folder of the services' programs; where not set, the one of platformctl." env:"ASHLAR_BIN" placeholder:"DIR"`
}

// services returns the names of those that are meant.
func (f *flags) services(streams *output.Streams) ([]string, error) {
	w, err := f.Workspace.Open()
	if err != nil {
		return nil, err
	}
	known := w.Names()
	if len(f.Services) == 0 {
		return f.started(streams, known)
	}
	for _, name := range f.Services {
		if !slices.Contains(known, name) {
			return nil, exit.With(exit.Usage, fmt.Errorf("no service with a database has the name %q; there are %s", name, strings.Join(known, ", ")))
		}
	}
	return f.Services, nil
}

// started returns those that were started before, and says of the others that they were not: they have no database yet.
func (f *flags) started(streams *output.Streams, known []string) ([]string, error) {
	var names []string
	var never error
	for _, name := range known {
		_, err := local.Script(f.Home, name)
		switch {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		default:
			never = errors.Join(never, err)
		}
	}
	if len(names) == 0 {
		return nil, never
	}
	if never != nil {
		fmt.Fprintln(streams.Err, never)
	}
	return names, nil
}

// ask runs `db` with some arguments in the program of each service, one after the other, and returns what each says. One
// that fails keeps no other from being asked; the error is about all that failed.
func (f *flags) ask(ctx context.Context, streams *output.Streams, doing string, args ...string) (states, error) {
	names, err := f.services(streams)
	if err != nil {
		return nil, err
	}
	all := states{}
	var failed []error
	for _, name := range names {
		if output.IsTerminal(streams.Err) {
			fmt.Fprintf(streams.Err, "%s %s …\n", doing, name)
		}
		state, err := f.one(ctx, name, args)
		if err != nil {
			failed = append(failed, err)
		} else {
			all = append(all, state)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return all, errors.Join(failed...)
}

// show shows what there is, and returns what failed.
func (f *flags) show(streams *output.Streams, all states, failure error) error {
	if len(all) == 0 && failure != nil {
		return failure
	}
	return errors.Join(f.Show(streams.Out, all), failure)
}

func (f *flags) one(ctx context.Context, name string, args []string) (dbstate.State, error) {
	var state dbstate.State
	command, err := local.Command(ctx, f.Home, f.Bin, name, append([]string{"db"}, args...)...)
	if err != nil {
		return state, err
	}
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && (ended.ExitCode() == dbstate.ExitPending || ended.ExitCode() == dbstate.ExitRefused) {
		err = nil // its state says what is pending, or why it is refused
	}
	if err != nil {
		return state, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	if err := json.Unmarshal(out.Bytes(), &state); err != nil {
		return state, fmt.Errorf("%s answers with no state of a database; is its program an older one? %w", name, err)
	}
	return state, nil
}

// Status is a command.
type Status struct{ flags }

// Help implements kong.HelpProvider.
func (*Status) Help() string {
	return `Nothing is changed, and the platform need not run. The exit code is 8 where a service does not start on its database.

  platformctl db status`
}

// Run implements the command.
func (s *Status) Run(ctx context.Context, streams *output.Streams) error {
	all, failure := s.ask(ctx, streams, "Asking", "status", "--output", "json")
	if err := s.show(streams, all, failure); err != nil {
		return err
	}
	var refused []string
	for _, state := range all {
		if state.Refusal != "" {
			refused = append(refused, state.Service)
		}
	}
	if len(refused) > 0 {
		return exit.With(exit.Conflict, fmt.Errorf("what does not start on its database: %s; its state says why", strings.Join(refused, ", ")))
	}
	return nil
}

// Migrate is a command.
type Migrate struct {
	flags

	Check bool `help:"Apply nothing; the exit code tells whether something is to be applied."`
}

// Help implements kong.HelpProvider.
func (*Migrate) Help() string {
	return `A crash or an error leaves each database after one whole migration. There is no way back: migrations add first, so that
programs of the release before go on working.

  platformctl db migrate --check
  platformctl db migrate identity`
}

// Run implements the command.
func (m *Migrate) Run(ctx context.Context, streams *output.Streams) error {
	args := []string{"migrate", "--output", "json"}
	if m.Check {
		args = append(args, "--check")
	}
	all, failure := m.ask(ctx, streams, "Migrating", args...)
	if err := m.show(streams, all, failure); err != nil {
		return err
	}
	for _, state := range all {
		if m.Check && len(state.Pending) > 0 {
			return exit.With(exit.Pending, errors.New("migrations are to be applied: platformctl db migrate"))
		}
	}
	return nil
}
