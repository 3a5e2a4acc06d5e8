package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Group is a set of components that start and stop together. Start and Stop are called once each, Stop also after a
// Start that failed; Fail and Failed may be called from any goroutine.
type Group struct {
	components []Component
	log        *slog.Logger
	started    []Component

	failOnce sync.Once
	failed   chan struct{}
	failure  error
}

// NewGroup returns a group of components in the order of their dependencies; for its errors see Order.
func NewGroup(log *slog.Logger, components ...Component) (*Group, error) {
	ordered, err := Order(components)
	if err != nil {
		return nil, err
	}
	return &Group{components: ordered, log: log, failed: make(chan struct{})}, nil
}

// Components returns the components in the order in which they start.
func (g *Group) Components() []Component { return g.components }

// Start starts the components one after the other, each with a budget of its own. When one fails, those that had
// started are stopped, and the error names the one that failed.
func (g *Group) Start(ctx context.Context) error {
	for _, c := range g.components {
		if err := g.StartComponent(ctx, c); err != nil {
			return errors.Join(err, g.Stop(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// StartComponent starts one component; it is for adapters that start components themselves, in the order of Components.
func (g *Group) StartComponent(ctx context.Context, c Component) error {
	begun := time.Now()
	if c.Start != nil {
		ctx, cancel := context.WithTimeout(ctx, or(c.StartTimeout, DefaultStartTimeout))
		defer cancel()
		if err := c.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", c.Name, err)
		}
	}
	g.log.DebugContext(ctx, "started", "component", c.Name, "took", time.Since(begun))
	g.started = append(g.started, c)
	return nil
}

// Stop stops the components that had started, in reverse order, each with a fresh budget of its own whatever ctx's
// deadline: one that hangs or fails keeps no other from stopping. It returns all their errors.
func (g *Group) Stop(ctx context.Context) error {
	var errs []error
	for _, c := range slices.Backward(g.started) {
		errs = append(errs, g.StopComponent(ctx, c))
	}
	g.started = nil
	return errors.Join(errs...)
}

// StopComponent stops one component; it is for adapters that stop components themselves, in reverse order.
func (g *Group) StopComponent(ctx context.Context, c Component) error {
	if c.Stop == nil {
		return nil
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), or(c.StopTimeout, DefaultStopTimeout))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Stop(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("stop %s: %w", c.Name, err)
		g.log.WarnContext(ctx, "did not stop cleanly", "component", c.Name, "error", err)
		return err
	}
	g.log.DebugContext(ctx, "stopped", "component", c.Name, "took", time.Since(begun))
	return nil
}

// Fail reports that a running component cannot go on. The first report counts.
func (g *Group) Fail(component string, err error) {
	g.failOnce.Do(func() {
		g.failure = fmt.Errorf("%s: %w", component, err)
		close(g.failed)
	})
}

// Failed is closed after Fail; Failure then returns its error.
func (g *Group) Failed() <-chan struct{} { return g.failed }

// Failure returns what was reported to Fail. It must only be called after Failed is closed.
func (g *Group) Failure() error { return g.failure }

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
