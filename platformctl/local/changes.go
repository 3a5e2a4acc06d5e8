package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"ashlar.dev/platform/core"
)

// errUnknownUnit and errInUse are about what somebody asks of a running platform.
var (
	errUnknownUnit = errors.New("there is no service")
	errInUse       = errors.New("others that run depend on it")
)

// raise starts units, and waits until all of them are ready and the gateway knows the way to them. It returns those that
// did not run before, also where it fails.
func (p *running) raise(ctx context.Context, units []*unit) (begun []*unit, err error) {
	timeout, cancel := context.WithTimeout(ctx, p.ReadyTimeout)
	defer cancel()
	waits := newWaiters(p.out)
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(timeout)
	for _, u := range units {
		group.Go(func() error {
			began, err := p.supervisor.ensure(groupCtx, u)
			if began {
				mu.Lock()
				defer mu.Unlock()
				begun = append(begun, u)
			}
			return err
		})
	}
	watching, stopWatching := context.WithCancel(groupCtx)
	var watch sync.WaitGroup
	watch.Go(func() { waits.follow(watching, units) })
	err = group.Wait()
	stopWatching()
	watch.Wait()
	late := waits.describe(units)
	if err == nil {
		late = "the gateway has not found the way to all services"
		err = p.awaitRoutes(timeout, units)
	}
	if err != nil && ctx.Err() == nil && timeout.Err() != nil {
		err = fmt.Errorf("not everything was ready within %s: %s; logs are in %s", p.ReadyTimeout, late, p.home.Show("logs"))
	}
	return begun, err
}

// ensure makes a unit run and waits until it is ready. It takes the unit's turn itself, and reports whether the unit was
// not to run before, and nobody else has decided about it since.
func (s *supervisor) ensure(ctx context.Context, u *unit) (began bool, err error) {
	if err := u.take(ctx); err != nil {
		return false, err
	}
	defer u.give()
	if u.state() == ready {
		return false, nil
	}
	began = !u.runs()
	u.want(true)
	err = s.begin(ctx, u)
	return began && !errors.Is(err, errNotWanted), err
}

// begin gives a unit a process, unless it has one that is alive, and waits until that is ready.
func (s *supervisor) begin(ctx context.Context, u *unit) error {
	if p := u.process(); p == nil || p.over() {
		if p != nil {
			s.clearUp(ctx, p) // its keeper may not have come to that
		}
		if err := s.launch(ctx, u); err != nil {
			return err
		}
	}
	return s.settle(ctx, u)
}

// settle waits until the process of a unit is ready, and says so.
func (s *supervisor) settle(ctx context.Context, u *unit) error {
	p := u.process()
	if err := s.await(ctx, u, p); err != nil {
		return err
	}
	_, took := p.serves()
	s.out.eventf(u.name, "%s in %s", s.out.paint(green, "ready"), seconds(took))
	return nil
}

// lower stops a unit and keeps it down. It takes the unit's turn itself.
func (s *supervisor) lower(ctx context.Context, u *unit) error {
	u.want(false)
	if err := u.take(ctx); err != nil {
		return err
	}
	defer u.give()
	u.want(false) // whoever had the turn before may have wanted it again
	err := s.stop(ctx, u, u.process())
	u.set(nil)
	return err
}

// replace gives a unit a new process. The old one is asked to stop when the new one is ready, and stays where it does not
// get ready. A unit that does not serve, or whose processes cannot run side by side, has its process stopped first. It
// takes the unit's turn itself, also from one who waits for a process that is starting.
func (s *supervisor) replace(ctx context.Context, u *unit) error {
	wanted := u.runs()
	if u.state() == starting {
		u.want(false)
	}
	err := u.take(ctx)
	u.want(wanted)
	if err != nil {
		return err
	}
	defer u.give()
	old := u.process()
	if u.kind.alone() || u.state() != ready {
		err := s.stop(ctx, u, old)
		u.want(true)
		launched := s.launch(ctx, u)
		if launched == nil {
			launched = s.settle(ctx, u)
		}
		if launched != nil && !wanted {
			u.want(false)
			launched = errors.Join(launched, s.stop(ctx, u, u.process()))
			u.set(nil)
		}
		return errors.Join(err, launched)
	}
	next, err := s.spawn(ctx, u)
	if err != nil {
		return err
	}
	if err := s.await(ctx, u, next); err != nil {
		return errors.Join(err, s.stop(ctx, u, next), fmt.Errorf("%s goes on as it was, as process %d", u.name, old.pid))
	}
	u.set(next)
	address, took := next.serves()
	s.out.eventf(u.name, "%s at %s, process %d, %s; stopping process %d", s.out.paint(green, "ready"), address, next.pid, seconds(took), old.pid)
	return s.stop(ctx, u, old)
}

// find returns the units of these names, in the order of their start.
func (p *running) find(names []string) ([]*unit, error) {
	found := p.units(names)
	for _, name := range names {
		if !slices.ContainsFunc(found, func(u *unit) bool { return u.name == name }) {
			all := make([]string, len(p.services))
			for i, u := range p.services {
				all[i] = u.name
			}
			return nil, fmt.Errorf("%w %q; there are: %s; one that was added since needs `platformctl down` and `up`", errUnknownUnit, name, strings.Join(all, ", "))
		}
	}
	return found, nil
}

// startUnits starts units and those that they depend on. Where one of them does not get ready, those that were started
// with it are stopped again, unless others need them by now.
func (p *running) startUnits(ctx context.Context, names []string) error {
	if _, err := p.find(names); err != nil {
		return err
	}
	begun, err := p.raise(ctx, p.units(closure(p.programs, names)))
	if err == nil {
		return nil
	}
	errs := []error{err}
	for _, u := range slices.Backward(p.services) {
		if slices.Contains(begun, u) && p.inUse([]string{u.name}) == nil {
			errs = append(errs, p.supervisor.lower(ctx, u))
		}
	}
	return errors.Join(errs...)
}

// stopUnits stops units, each before those that it depends on, and keeps them down. Without force it stops nothing that
// others which run depend on.
func (p *running) stopUnits(ctx context.Context, names []string, force bool) error {
	units, err := p.find(names)
	if err != nil {
		return err
	}
	if !force {
		if err := p.inUse(names); err != nil {
			return err
		}
	}
	var errs []error
	for _, u := range slices.Backward(units) {
		errs = append(errs, p.supervisor.lower(ctx, u))
	}
	return errors.Join(errs...)
}

// inUse returns an error where others that run depend on one of these.
func (p *running) inUse(names []string) error {
	var used []string
	for _, name := range names {
		var by []string
		for _, u := range p.services {
			if u.runs() && !slices.Contains(names, u.name) && p.needs(u, name) {
				by = append(by, u.name)
			}
		}
		if len(by) > 0 {
			used = append(used, fmt.Sprintf("%s is needed by %s", name, strings.Join(by, ", ")))
		}
	}
	if used == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: stop them, too, or use --force", strings.Join(used, "; "), errInUse)
}

// needs reports whether a unit needs another while it runs. Each service needs the core services, except those that these
// depend on: they run before. The gateway answers for whatever is not there.
func (p *running) needs(u *unit, name string) bool {
	if slices.Contains(u.dependsOn, name) {
		return true
	}
	always := core.Running()
	return slices.Contains(always, name) && !slices.Contains(always, u.name) && u != p.gateway() &&
		!slices.Contains(closure(p.programs, []string{name}), u.name)
}

// restartUnits gives units new processes, one unit after the other, those first that others depend on. It ends with the
// first that does not get ready.
func (p *running) restartUnits(ctx context.Context, names []string) error {
	units, err := p.find(names)
	if err != nil {
		return err
	}
	for _, u := range units {
		timeout, cancel := context.WithTimeout(ctx, p.ReadyTimeout)
		err := p.supervisor.replace(timeout, u)
		if timeout.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s was not ready within %s; its log is %s: %w", u.name, p.ReadyTimeout, u.log, err)
		}
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
