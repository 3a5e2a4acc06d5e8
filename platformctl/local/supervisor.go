package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	firstRestart  = time.Second
	slowestStart  = 30 * time.Second // between two tries, at most
	provenAfter   = time.Minute      // a process that ran this long had no trouble starting
	clearUpWithin = 3 * time.Second
)

// supervisor starts units, keeps them running and stops them.
type supervisor struct {
	out      *console
	spawner  *spawner
	restart  bool          // start again what has died
	patience time.Duration // that a process has to stop
	hurry    <-chan struct{}
}

// launch starts the process of a unit.
func (s *supervisor) launch(u *unit) error {
	p, err := s.spawner.launch(u.name, u.kind.command(), u.log)
	if err != nil {
		return err
	}
	u.started(p)
	return nil
}

// await waits until a unit that was launched is ready. Where its process ends before that, the error shows what it had to
// say.
func (s *supervisor) await(ctx context.Context, u *unit) error {
	p := u.current()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-waiting.Done():
		}
	}()
	address, err := u.kind.await(waiting)
	if err == nil {
		u.ready(address)
		return nil
	}
	select {
	case <-p.done:
		return fmt.Errorf("%s ended while it was starting (%s). The end of its log, %s:\n    %s",
			u.name, p.ended(), u.log, strings.Join(tail(p.log, p.logFrom), "\n    "))
	default:
		return err
	}
}

// keep starts the process of a unit again whenever it has died, with growing pauses, until ctx ends.
func (s *supervisor) keep(ctx context.Context, u *unit) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier, pauses.RandomizationFactor = firstRestart, slowestStart, 2, 0
	for {
		p := u.current()
		select {
		case <-ctx.Done():
			return
		case <-p.done:
		}
		ran := time.Since(p.begun)
		s.clearUp(ctx, u)
		what := fmt.Sprintf("ended (process %d, %s) after %s", p.pid, p.ended(), ran.Round(time.Second))
		if !s.restart {
			s.out.eventf(u.name, "%s and stays down (--no-restart); its log is %s", s.out.paint(yellow, what), u.log)
			return
		}
		if ran > provenAfter {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		s.out.eventf(u.name, "%s; starting it again in %s; its log is %s", s.out.paint(yellow, what), pause, u.log)
		if !s.again(ctx, u, pause) {
			return
		}
	}
}

// again starts the process of a unit after a pause. It returns false when ctx has ended.
func (s *supervisor) again(ctx context.Context, u *unit, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	err := s.launch(u)
	if err == nil {
		err = s.await(ctx, u)
	}
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		s.out.eventf(u.name, "%v", err)
	default:
		r := u.row()
		s.out.eventf(u.name, "%s again at %s, process %d, %s", s.out.paint(green, "ready"), r.address, r.pid, seconds(r.took))
	}
	return true
}

// clearUp removes what a dead process has left.
func (s *supervisor) clearUp(ctx context.Context, u *unit) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearUpWithin)
	defer cancel()
	u.kind.lost(ctx)
}

// stop stops the process of a unit, if it runs, however ctx stands. It must not be called while keep runs.
func (s *supervisor) stop(ctx context.Context, u *unit) error {
	p := u.current()
	if p == nil {
		return nil
	}
	select {
	case <-p.done: // that was told, or is being told
		return nil
	default:
	}
	begun := time.Now()
	killed := p.stop(s.patience, s.hurry)
	took := time.Since(begun)
	if killed {
		s.clearUp(ctx, u)
	}
	switch {
	case killed && took < s.patience:
		s.out.eventf(u.name, "%s", s.out.paint(yellow, "killed"))
		return nil
	case killed:
		s.out.eventf(u.name, "%s", s.out.paint(yellow, "did not stop within "+s.patience.String()+" and was killed"))
		return fmt.Errorf("%s did not stop within %s; its log is %s", u.name, s.patience, u.log)
	case !u.kind.orderly(p) && u.row().took == 0: // in the middle of starting, nothing is in order
		s.clearUp(ctx, u)
		s.out.eventf(u.name, "stopped while it was starting")
		return nil
	case !u.kind.orderly(p):
		s.clearUp(ctx, u)
		s.out.eventf(u.name, "%s", s.out.paint(yellow, "stopped, but not in order: "+p.ended()))
		return fmt.Errorf("%s did not stop in order (%s); its log is %s", u.name, p.ended(), u.log)
	}
	s.out.eventf(u.name, "stopped in %s", seconds(took))
	return nil
}

// stopAll stops units, the last one first.
func (s *supervisor) stopAll(ctx context.Context, units []*unit) error {
	var errs []error
	for _, u := range slices.Backward(units) {
		errs = append(errs, s.stop(ctx, u))
	}
	return errors.Join(errs...)
}
