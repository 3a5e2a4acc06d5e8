package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

const waitInterval = 100 * time.Millisecond

// Wait is the command that waits for services.
type Wait struct {
	Where

	Names   []string      `arg:"" predictor:"unit" help:"Names of the services." placeholder:"NAME"`
	Timeout time.Duration `help:"How long to wait." default:"60s"`
}

// Help implements kong.HelpProvider.
func (*Wait) Help() string {
	return `Example:

  platformctl services wait auth notes --timeout 30s`
}

// Run implements the command. It waits for the platform, too, if that is not there yet.
func (w *Wait) Run(ctx context.Context, streams *output.Streams) error {
	timeout, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	left := slices.Clone(w.Names)
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	for {
		states, err := w.look(timeout)
		if err != nil && !passing(err) {
			return err
		}
		left = slices.DeleteFunc(left, func(name string) bool {
			if states[name] != healthy && states[name] != degraded {
				return false
			}
			fmt.Fprintf(streams.Err, "%s is healthy\n", output.Clean(name))
			return true
		})
		if len(left) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-timeout.Done():
			if ctx.Err() != nil {
				return exit.With(exit.Interrupted, errors.New("interrupted while waiting"))
			}
			return exit.With(exit.Unavailable, late(w.Timeout, left, states, err))
		}
	}
}

// look returns the states of all services.
func (w *Wait) look(ctx context.Context) (map[string]string, error) {
	services, err := w.services(ctx)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, s := range services {
		states[s.Name] = s.State
	}
	return states, nil
}

// passing reports whether an error is one that goes away when the platform is there, or comes of the end of the wait.
func passing(err error) bool {
	return ranOut(err) || errors.Is(err, context.Canceled) || slices.Contains([]int{exit.NoConsul, exit.Unavailable}, exit.Code(err))
}

// ranOut reports whether an error says that the time was up. Connections have a timer of their own for it, whose error may
// come a moment before the context's.
func ranOut(err error) bool {
	var timeout net.Error // context.DeadlineExceeded is one, too
	return errors.As(err, &timeout) && timeout.Timeout()
}

func late(waited time.Duration, left []string, states map[string]string, err error) error {
	for i, name := range left {
		state := states[name]
		if state == "" {
			state = "not there"
		}
		left[i] = fmt.Sprintf("%s (%s)", name, state)
	}
	if err != nil && !ranOut(err) {
		return fmt.Errorf("not healthy within %s: %s: %w", waited, strings.Join(left, ", "), err)
	}
	return fmt.Errorf("not healthy within %s: %s", waited, strings.Join(left, ", "))
}
