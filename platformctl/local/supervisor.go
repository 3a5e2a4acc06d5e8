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

// errNotWanted says that somebody has stopped a unit while another waited for it to become ready.
var errNotWanted = errors.New("it was stopped while it was starting")

// supervisor starts units, keeps them running and stops them. Except where it says otherwise, callers have the unit's turn.
type supervisor struct {
	out      *console
	spawner  *spawner
	restart  bool          // start again what has died
	patience time.Duration // that a process has to stop
	hurry    <-chan struct{}
}

// spawn starts a process for a unit, which is not the unit's yet.
func (s *supervisor) spawn(ctx context.Context, u *unit) (*process, error) {
	next, err := u.kind.next(ctx)
	if err != nil {
		return nil, err
	}
	return s.spawner.launch(u.name, next, u.log)
}

// launch starts the process of a unit.
func (s *supervisor) launch(ctx context.Context, u *unit) error {
	p, err := s.spawn(ctx, u)
	if err != nil {
		return err
	}
	u.set(p)
	return nil
}

// await waits until a process of a unit is ready. Where it ends before that, the error shows what it had to say.
func (s *supervisor) await(ctx context.Context, u *unit, p *process) error {
	wanted, cancel := u.whileWanted(ctx)
	defer cancel()
	waiting, cancel := context.WithCancel(wanted)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-waiting.Done():
		}
	}()
	address, err := p.instance.await(waiting)
	switch {
	case err == nil:
		p.serving(address)
		return nil
	case p.over():
		return fmt.Errorf("%s ended while it was starting (%s). The end of its log, %s:\n    %s",
			u.name, p.ended(), u.log, strings.Join(tail(p.log, p.logFrom), "\n    "))
	case wanted.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("%s: %w", u.name, errNotWanted)
	default:
		return err
	}
}

// keep starts the process of a unit again whenever it has died, with growing pauses, until ctx ends. It takes the unit's
// turn itself.
func (s *supervisor) keep(ctx context.Context, u *unit) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier, pauses.RandomizationFactor = firstRestart, slowestStart, 2, 0
	var buried *process
	var due <-chan time.Time // when the next one is started
	for ctx.Err() == nil {
		p, wanted, changed := u.look()
		ended := make(<-chan struct{})
		switch {
		case p == nil || !wanted:
			buried, due = nil, nil
			pauses.Reset()
		case p != buried:
			ended, due = p.done, nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-ended:
			if s.mine(ctx, u, p) {
				due = s.bury(ctx, u, p, pauses)
				buried = p
				u.give()
			}
		case <-due:
			if s.mine(ctx, u, p) {
				s.again(ctx, u)
				if u.process() == p {
					buried = nil // nothing could be started: wait longer, and try again
				}
				u.give()
			}
		}
	}
}

// mine takes a unit's turn, if the unit is still to run and a process is still the unit's.
func (s *supervisor) mine(ctx context.Context, u *unit, p *process) bool {
	if u.take(ctx) != nil {
		return false
	}
	current, wanted, _ := u.look()
	if current == p && wanted && ctx.Err() == nil {
		return true
	}
	u.give()
	return false
}

// bury clears up after a process that has died, and returns when the next one is due.
func (s *supervisor) bury(ctx context.Context, u *unit, p *process, pauses *backoff.ExponentialBackOff) <-chan time.Time {
	ran := time.Since(p.begun)
	s.clearUp(ctx, p)
	what := fmt.Sprintf("ended (process %d, %s) after %s", p.pid, p.ended(), ran.Round(time.Second))
	if !s.restart {
		s.out.eventf(u.name, "%s and stays down (--no-restart); its log is %s", s.out.paint(yellow, what), u.log)
		return nil
	}
	if ran > provenAfter {
		pauses.Reset()
	}
	pause := pauses.NextBackOff()
	s.out.eventf(u.name, "%s; starting it again in %s; its log is %s", s.out.paint(yellow, what), pause, u.log)
	return time.After(pause)
}

// again starts the process of a unit that has died, and says how that went.
func (s *supervisor) again(ctx context.Context, u *unit) {
	err := s.launch(ctx, u)
	if err == nil {
		err = s.await(ctx, u, u.process())
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, errNotWanted):
	case err != nil:
		s.out.eventf(u.name, "%v", err)
	default:
		r := u.row()
		s.out.eventf(u.name, "%s again at %s, process %d, %s", s.out.paint(green, "ready"), r.address, r.pid, seconds(r.took))
	}
}

// clearUp removes what a dead process has left.
func (s *supervisor) clearUp(ctx context.Context, p *process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearUpWithin)
	defer cancel()
	p.instance.lost(ctx)
}

// stop stops a process of a unit, if it runs, however ctx stands. It clears up after one that has died: the unit's keeper
// does not once the process is not the unit's any more.
func (s *supervisor) stop(ctx context.Context, u *unit, p *process) error {
	if p == nil {
		return nil
	}
	if p.over() { // that was told, or is being told
		s.clearUp(ctx, p)
		return nil
	}
	begun := time.Now()
	killed := p.stop(s.patience, s.hurry)
	took := time.Since(begun)
	if killed {
		s.clearUp(ctx, p)
	}
	switch {
	case killed && took < s.patience:
		s.out.eventf(u.name, "%s", s.out.paint(yellow, "killed"))
		return nil
	case killed:
		s.out.eventf(u.name, "%s", s.out.paint(yellow, "did not stop within "+s.patience.String()+" and was killed"))
		return fmt.Errorf("%s did not stop within %s; its log is %s", u.name, s.patience, u.log)
	case !p.instance.orderly(p) && !p.ready(): // in the middle of starting, nothing is in order
		s.clearUp(ctx, p)
		s.out.eventf(u.name, "stopped while it was starting")
		return nil
	case !p.instance.orderly(p):
		s.clearUp(ctx, p)
		s.out.eventf(u.name, "%s", s.out.paint(yellow, "stopped, but not in order: "+p.ended()))
		return fmt.Errorf("%s did not stop in order (%s); its log is %s", u.name, p.ended(), u.log)
	}
	s.out.eventf(u.name, "stopped in %s", seconds(took))
	return nil
}

// stopAll stops units, the last one first. Nobody else may have their turns.
func (s *supervisor) stopAll(ctx context.Context, units []*unit) error {
	var errs []error
	for _, u := range slices.Backward(units) {
		errs = append(errs, s.stop(ctx, u, u.process()))
	}
	return errors.Join(errs...)
}
