package services

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/output"
)

// Up is the command that starts services.
type Up struct {
	local.Settings

	Names []string `arg:"" predictor:"unit" help:"Names of the services." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (*Up) Help() string {
	return `Where a platform runs on the home folder, the services are started in it, with those that they depend on. It returns when
they are ready; where one does not get ready, what was not to run before is stopped again.

Where none runs, one is started in the background with these services, those that they depend on, those that every
service needs, and the gateway. Only then do the flags that say how count, beside --home.

  platformctl services up notes`
}

// Run implements the command.
func (u *Up) Run(ctx context.Context, streams *output.Streams) error {
	err := change(ctx, u.Home, streams, func(ctx context.Context, s *local.Supervisor, tell func(*localv1.Event)) error {
		return s.Start(ctx, u.Names, tell)
	})
	if errors.Is(err, local.ErrNotRunning) {
		return (&local.Up{Settings: u.Settings, Detach: true, Only: u.Names}).Run(ctx, streams)
	}
	return err
}

// Down is the command that stops services.
type Down struct {
	local.HomeFlag

	Names []string `arg:"" predictor:"unit" help:"Names of the services." placeholder:"NAME"`
	Force bool     `help:"Also stop what others that run depend on."`
}

// Help implements kong.HelpProvider.
func (*Down) Help() string {
	return `Each service drains and stops before those that it depends on, and stays down until ` + "`platformctl services up`" + `. The platform
goes on; ` + "`platformctl down`" + ` stops all of it.

  platformctl services down notes`
}

// Run implements the command.
func (d *Down) Run(ctx context.Context, streams *output.Streams) error {
	return change(ctx, d.Home, streams, func(ctx context.Context, s *local.Supervisor, tell func(*localv1.Event)) error {
		return s.Stop(ctx, d.Names, d.Force, tell)
	})
}

// Restart is the command that gives services new processes.
type Restart struct {
	local.HomeFlag

	Names []string `arg:"" predictor:"unit" help:"Names of the services." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (*Restart) Help() string {
	return `One service after the other: the new process is ready before the old one drains, so that no call fails. Where the new one does
not get ready, the old one stays. Only the gateway is stopped first, because its address can have one owner.

  platformctl services restart identity authz`
}

// Run implements the command.
func (r *Restart) Run(ctx context.Context, streams *output.Streams) error {
	return change(ctx, r.Home, streams, func(ctx context.Context, s *local.Supervisor, tell func(*localv1.Event)) error {
		return s.Restart(ctx, r.Names, tell)
	})
}

// change asks the `up` on a home folder for something, and shows on stderr what happens.
func change(ctx context.Context, home string, streams *output.Streams, ask func(context.Context, *local.Supervisor, func(*localv1.Event)) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	supervisor, err := local.Dial(ctx, home)
	if err != nil {
		return err
	}
	defer supervisor.Close(ctx)
	return ask(ctx, supervisor, func(e *localv1.Event) {
		fmt.Fprintf(streams.Err, "%-9s %s\n", output.Clean(e.GetUnit()), output.Clean(e.GetMessage()))
	})
}
