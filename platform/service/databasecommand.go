package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/dbstate"
)

// DatabaseCommand is what the program of every service can do beside serving: `db status` and `db migrate`, for those who
// apply migrations apart from a start, with the migrations that are embedded in the program.
func DatabaseCommand(module Module) config.Command {
	return config.Command{Name: "db", Help: "Look at the database, and apply its migrations, without serving.", Struct: &databaseCommands{
		Status: databaseStatus{databaseCommand{module: module}}, Migrate: databaseMigrate{databaseCommand: databaseCommand{module: module}},
	}}
}

type databaseCommands struct {
	Status  databaseStatus  `cmd:"" help:"Show which version the database has, and which migrations it lacks. Changes nothing."`
	Migrate databaseMigrate `cmd:"" help:"Apply the migrations that the database lacks. A service does it at its start, too."`
}

type databaseCommand struct {
	Output string `short:"o" enum:"text,json" default:"text" env:"-" help:"How to show the result: text or json." placeholder:"FORMAT"`

	module Module
}

type databaseStatus struct{ databaseCommand }

// Run implements the command.
func (c *databaseStatus) Run(ctx context.Context, out io.Writer, target config.Target) error {
	return c.with(target, func(_ *Config, db *database.Database) error {
		state, err := c.inspect(ctx, db)
		if err != nil {
			return err
		}
		if err := c.show(out, state); err != nil || state.Refusal == "" {
			return err
		}
		return refusedError{state}
	})
}

type databaseMigrate struct {
	databaseCommand

	Check bool `env:"-" help:"Apply nothing; exit with status 11 where something is to be applied."`
}

// Run implements the command.
func (c *databaseMigrate) Run(ctx context.Context, out io.Writer, target config.Target) error {
	return c.with(target, func(cfg *Config, db *database.Database) error {
		state, err := c.inspect(ctx, db)
		switch {
		case err != nil:
			return err
		case c.Check && len(state.Pending) > 0 && state.Refusal == "":
			return errors.Join(c.show(out, state), pendingError{state})
		case c.Check:
			if err := migrate.Verify(ctx, db, c.module.Migrations()); err != nil {
				return err
			}
			return c.show(out, state)
		}
		if state, err = c.apply(ctx, cfg, db, state.Pending); err != nil {
			return err
		}
		return c.show(out, state)
	})
}

// apply applies what is pending, and returns the state afterwards.
func (c *databaseMigrate) apply(ctx context.Context, cfg *Config, db *database.Database, pending []string) (dbstate.State, error) {
	checking, cancel := context.WithTimeout(ctx, cfg.DependencyTimeout)
	defer cancel()
	if err := db.Check(checking); err != nil {
		return dbstate.State{}, err
	}
	applying, stop := context.WithTimeout(ctx, cfg.MigrationTimeout)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := migrate.Apply(applying, db, c.module.Migrations(), log); err != nil {
		return dbstate.State{}, db.Explain(err)
	}
	state, err := c.inspect(ctx, db)
	for _, migration := range pending {
		if !slices.Contains(state.Pending, migration) {
			state.Applied = append(state.Applied, migration)
		}
	}
	return state, err
}

func (c *databaseCommand) with(target config.Target, use func(*Config, *database.Database) error) error {
	embeds, ok := target.Value.(interface{ Common() *Config })
	if !ok {
		return fmt.Errorf("%T embeds no %T", target.Value, Config{})
	}
	cfg := embeds.Common()
	address, err := cfg.Database()
	if err != nil {
		return err
	}
	db, err := database.New(address)
	if err != nil {
		return err
	}
	return errors.Join(use(cfg, db), db.Close())
}

func (c *databaseCommand) inspect(ctx context.Context, db *database.Database) (dbstate.State, error) {
	s, err := migrate.Inspect(ctx, db, c.module.Migrations())
	if err != nil {
		return dbstate.State{}, err
	}
	connections, err := db.Connections(ctx)
	if err != nil {
		return dbstate.State{}, fmt.Errorf("ask for the connections to %s: %w", db, err)
	}
	refusal := ""
	if s.Refusal != nil {
		refusal = s.Refusal.Error()
	}
	return dbstate.State{
		Service: c.module.Manifest().Name, Database: db.String(), Version: s.Version, Target: s.Target,
		Pending: append([]string{}, s.Pending...), Refusal: refusal, Bytes: s.Bytes, Connections: (*dbstate.Connections)(connections),
	}, nil
}

func (c *databaseCommand) show(out io.Writer, state dbstate.State) error {
	if c.Output == "json" {
		return json.NewEncoder(out).Encode(state)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: version %d, this program has %d: %s; %d bytes", state.Database, state.Version, state.Target, state, state.Bytes)
	if state.Connections != nil {
		fmt.Fprintf(&text, ", %d of %d connections", state.Connections.Open, state.Connections.Most)
	}
	text.WriteByte('\n')
	for _, migration := range state.Applied {
		fmt.Fprintf(&text, "  applied %s\n", migration)
	}
	for _, migration := range state.Pending {
		fmt.Fprintf(&text, "  pending %s\n", migration)
	}
	if state.Refusal != "" {
		fmt.Fprintf(&text, "  %s\n", state.Refusal)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// pendingError says that a check found migrations to apply.
type pendingError struct{ state dbstate.State }

// Error implements error.
func (e pendingError) Error() string {
	return fmt.Sprintf("%d migrations are to be applied: db migrate", len(e.state.Pending))
}

// ExitCode says how a process ends with it.
func (pendingError) ExitCode() int { return dbstate.ExitPending }

// refusedError says that the program does not start on the database, and that migrating does not help.
type refusedError struct{ state dbstate.State }

// Error implements error.
func (e refusedError) Error() string {
	return fmt.Sprintf("%s does not start on this database: %s", e.state.Service, e.state.Refusal)
}

// ExitCode says how a process ends with it.
func (refusedError) ExitCode() int { return dbstate.ExitRefused }
