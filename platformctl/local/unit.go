package local

import (
	"context"
	"os/exec"
	"sync"
)

// unit is one part of the platform that is kept running: first one process, and after that another. Whoever starts or
// stops its processes has its turn.
type unit struct {
	name      string
	log       string // path
	dependsOn []string
	kind      kind
	turn      chan struct{} // holds one token

	mu      sync.Mutex
	wanted  bool          // it is to run
	current *process      // nil: there is none
	changed chan struct{} // closed when one of these is another
}

func newUnit(name, log string, kind kind, dependsOn ...string) *unit {
	return &unit{name: name, log: log, kind: kind, dependsOn: dependsOn, turn: make(chan struct{}, 1), changed: make(chan struct{})}
}

// kind is what there is to know about a unit. Its methods are called by whoever has the unit's turn.
type kind interface {
	// next makes a new instance.
	next(ctx context.Context) (instance, error)
	// alone reports whether two instances cannot be there at once.
	alone() bool
}

// instance is what there is to know about one process. Methods are called by one goroutine at a time, except waitsFor.
type instance interface {
	// command is what to start. Its ExtraFiles are the caller's to close.
	command() (*exec.Cmd, error)
	// await returns where the instance serves once it can.
	await(ctx context.Context) (address string, err error)
	// waitsFor says why the instance cannot serve yet; empty where that is not known.
	waitsFor(ctx context.Context) string
	// lost clears up after an instance that has died.
	lost(ctx context.Context)
	// orderly reports whether a process that was asked to end has ended as it should.
	orderly(p *process) bool
}

// take waits for the turn to start or stop processes.
func (u *unit) take(ctx context.Context) error {
	select {
	case u.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give gives the turn back.
func (u *unit) give() { <-u.turn }

// look returns how things are, and a channel that is closed when they are otherwise.
func (u *unit) look() (current *process, wanted bool, changed <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.current, u.wanted, u.changed
}

// process returns the process of the unit; nil where there is none.
func (u *unit) process() *process {
	p, _, _ := u.look()
	return p
}

// runs reports whether the unit is to run.
func (u *unit) runs() bool {
	_, wanted, _ := u.look()
	return wanted
}

// want says whether the unit is to run. Whoever waits for it to become ready notices when it is not.
func (u *unit) want(wanted bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.wanted != wanted {
		u.wanted = wanted
		u.wake()
	}
}

// set makes a process the unit's. The caller has the unit's turn.
func (u *unit) set(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current != p {
		u.current = p
		u.wake()
	}
}

func (u *unit) wake() {
	close(u.changed)
	u.changed = make(chan struct{})
}

// whileWanted returns a context that ends when the unit is not to run any more.
func (u *unit) whileWanted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			_, wanted, changed := u.look()
			if !wanted {
				cancel()
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// state is how a unit is at the moment, in the words of UnitState.
type state string

const (
	starting state = "starting"
	ready    state = "ready"
	down     state = "down"
	failed   state = "failed"
)

func (u *unit) state() state {
	p, wanted, _ := u.look()
	switch {
	case !wanted || p == nil:
		return down
	case p.over():
		return failed
	case p.ready():
		return ready
	default:
		return starting
	}
}

func (u *unit) row() row {
	r := row{process: u.name, state: string(u.state())}
	if p := u.process(); p != nil && !p.over() {
		r.address, r.took = p.serves()
		r.pid = p.pid
	}
	return r
}
