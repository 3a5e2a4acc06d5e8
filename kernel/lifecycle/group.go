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

// Group is a set of components that start and stop together: each starts as soon as those that it comes after have
// started, side by side with those that it has no order with, and stops as soon as those that come after it have stopped.
// Start and Stop are called once each, Stop also after a Start that failed; the other methods may be called from any
// goroutine.
type Group struct {
	components []Component
	log        *slog.Logger

	mu            sync.Mutex
	started       map[string]bool
	starts, stops []Step

	failOnce sync.Once
	failed   chan struct{}
	failure  error
}

// Step is the start or the stop of one component.
type Step struct {
	Component string
	Begun     time.Time
	// Took is zero while it is under way.
	Took time.Duration
	// Done tells that it has ended; Err is then what went wrong.
	Done bool
	Err  error
	// GivenUp tells that it was a start that failed because it was not to go on.
	GivenUp bool
}

// NewGroup returns a group of components in the order of their dependencies; for its errors see Order.
func NewGroup(log *slog.Logger, components ...Component) (*Group, error) {
	ordered, err := Order(components)
	if err != nil {
		return nil, err
	}
	return &Group{components: ordered, log: log, started: map[string]bool{}, failed: make(chan struct{})}, nil
}

// Components returns the components in an order in which they could start one after the other.
func (g *Group) Components() []Component { return g.components }

// Starts and Stops return what has begun so far, in the order in which it began.
func (g *Group) Starts() []Step { return g.steps(&g.starts) }

// Stops is like Starts.
func (g *Group) Stops() []Step { return g.steps(&g.stops) }

func (g *Group) steps(of *[]Step) []Step {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(*of)
}

// begin notes that a step has begun, and returns what notes its end.
func (g *Group) begin(steps *[]Step, component string) func(err error, givenUp bool) Step {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, begun := len(*steps), time.Now()
	*steps = append(*steps, Step{Component: component, Begun: begun})
	return func(err error, givenUp bool) Step {
		g.mu.Lock()
		defer g.mu.Unlock()
		step := &(*steps)[i]
		step.Took, step.Done, step.Err, step.GivenUp = time.Since(begun), true, err, givenUp
		if steps == &g.starts && err == nil {
			g.started[component] = true
		}
		return *step
	}
}

// Start starts the components, each with a budget of its own. When one fails, or ctx ends, those that are starting get a
// context that has ended, no other is started, and those that had started are stopped. The error names the one that
// failed, and says what the others were at that were given up.
func (g *Group) Start(ctx context.Context) error {
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	var failures, abandoned []error
	walk(g.components, func(c Component) []string { return c.After }, func(c Component) (on bool, note func()) {
		if starting.Err() != nil {
			return false, func() {}
		}
		step := g.start(starting, c)
		return step.Err == nil, func() {
			switch {
			case step.Err == nil:
			case step.GivenUp:
				abandoned = append(abandoned, fmt.Errorf("given up after %s: %w", step.Took.Round(time.Millisecond), step.Err))
			default:
				failures = append(failures, step.Err)
				cancel()
			}
		}
	})
	switch {
	case len(failures) == 0 && len(abandoned) == 0 && g.complete():
		return nil
	case len(failures) == 0:
		// Somebody asked for the end; why each has failed is in that.
		failures = append([]error{fmt.Errorf("start: %w", context.Cause(ctx))}, abandoned...)
	default:
		for _, err := range abandoned {
			failures = append(failures, errors.New(err.Error())) // it failed because another one did, so it does not count
		}
	}
	return errors.Join(append(failures, g.Stop(context.WithoutCancel(ctx)))...)
}

func (g *Group) complete() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.started) == len(g.components)
}

// StartComponent starts one component; it is for adapters that start components themselves, in the order of Components.
func (g *Group) StartComponent(ctx context.Context, c Component) error { return g.start(ctx, c).Err }

func (g *Group) start(ctx context.Context, c Component) Step {
	end := g.begin(&g.starts, c.Name)
	var err error
	if c.Start != nil {
		bounded, cancel := context.WithTimeout(ctx, c.startTimeout())
		defer cancel()
		if err = c.Start(bounded); err != nil {
			err = fmt.Errorf("start %s: %w", c.Name, err)
		}
	}
	step := end(err, err != nil && ctx.Err() != nil)
	if err == nil {
		g.log.DebugContext(ctx, "started", "component", c.Name, "took", step.Took)
	}
	return step
}

// Stop stops the components that had started, each as soon as those that come after it have stopped or used up their
// budgets, and with a fresh budget of its own whatever ctx's deadline: one that hangs or fails keeps no other from
// stopping, and delays only those that it came after. It returns all their errors.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	running := slices.DeleteFunc(slices.Clone(g.components), func(c Component) bool { return !g.started[c.Name] })
	clear(g.started)
	g.mu.Unlock()
	slices.Reverse(running)
	later := map[string][]string{}
	for _, c := range running {
		for _, before := range c.After {
			later[before] = append(later[before], c.Name)
		}
	}
	var errs []error
	walk(running, func(c Component) []string { return later[c.Name] }, func(c Component) (bool, func()) {
		err := g.StopComponent(ctx, c)
		return true, func() { errs = append(errs, err) }
	})
	return errors.Join(errs...)
}

// StopComponent stops one component; it is for adapters that stop components themselves, in reverse order.
func (g *Group) StopComponent(ctx context.Context, c Component) error {
	end := g.begin(&g.stops, c.Name)
	if c.Stop == nil {
		end(nil, false)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.stopTimeout())
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
		end(err, false)
		g.log.WarnContext(ctx, "did not stop cleanly", "component", c.Name, "error", err)
		return err
	}
	g.log.DebugContext(ctx, "stopped", "component", c.Name, "took", end(nil, false).Took)
	return nil
}

// Component returns the group as one component of another. Its budgets are what the longest way through the group may
// take.
func (g *Group) Component(name string) Component {
	later := map[string][]string{}
	for _, c := range g.components {
		for _, before := range c.After {
			later[before] = append(later[before], c.Name)
		}
	}
	longest := map[string]time.Duration{}
	var start, back time.Duration
	for _, c := range g.components {
		for _, before := range c.After {
			longest[c.Name] = max(longest[c.Name], longest[before])
		}
		longest[c.Name] += c.startTimeout()
		start = max(start, longest[c.Name])
	}
	clear(longest)
	for _, c := range slices.Backward(g.components) {
		for _, after := range later[c.Name] {
			longest[c.Name] = max(longest[c.Name], longest[after])
		}
		longest[c.Name] += c.stopTimeout()
		back = max(back, longest[c.Name])
	}
	// A start that fails at its very end takes all back that it has made.
	return Component{Name: name, Start: g.Start, Stop: g.Stop, StartTimeout: start + back, StopTimeout: back + time.Second}
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
