// Package fxadapter runs a lifecycle.Group as an fx application. It is the only place beside the cmd packages that
// knows fx.
package fxadapter

import (
	"context"
	"errors"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"ashlar.dev/kernel/lifecycle"
)

// noTimeout is the deadline that fx gets: each component has a budget of its own.
const noTimeout = time.Hour

// Module hangs the components of the *lifecycle.Group that the graph provides into the application: one hook each, in
// the group's order.
func Module() fx.Option { return hang(context.Background()) }

// hang is Module with a context that ends starts that are under way.
func hang(running context.Context) fx.Option {
	return fx.Module("lifecycle", fx.Invoke(func(lc fx.Lifecycle, group *lifecycle.Group) {
		for _, c := range group.Components() {
			lc.Append(fx.Hook{
				OnStart: func(ctx context.Context) error {
					ctx, cancel := context.WithCancel(ctx)
					defer cancel()
					defer context.AfterFunc(running, cancel)()
					if err := running.Err(); err != nil {
						return err
					}
					return group.StartComponent(ctx, c)
				},
				OnStop: func(ctx context.Context) error { return group.StopComponent(ctx, c) },
			})
		}
	}))
}

// Run builds the application from options, which must provide a *lifecycle.Group, starts it, waits until ctx is done
// or a component fails, and stops it. It returns the first thing that went wrong; nil after a clean stop.
func Run(ctx context.Context, options ...fx.Option) error {
	var group *lifecycle.Group
	app := fx.New(fx.Options(options...), hang(ctx), fx.Populate(&group), fx.StartTimeout(noTimeout), fx.StopTimeout(noTimeout),
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }))
	if err := app.Err(); err != nil {
		// Which constructor failed is clear from what it says.
		return dig.RootCause(err)
	}
	// A start that is under way ends when somebody asks the process to stop; fx then stops what had started, and nothing
	// went wrong. With a context that is done fx would neither wait for the start nor stop anything.
	if err := app.Start(context.WithoutCancel(ctx)); ctx.Err() == nil && err != nil {
		return err
	} else if err != nil {
		return nil //nolint:nilerr // it ended because it was asked to
	}
	var failure error
	select {
	case <-ctx.Done():
	case <-group.Failed():
		failure = group.Failure()
	}
	return errors.Join(failure, app.Stop(context.WithoutCancel(ctx)))
}
