package local

import (
	"context"
	"os/exec"
	"sync"
	"time"
)

// unit is one part of the platform that is kept running: first one process, and after that has died another.
type unit struct {
	name string
	log  string // path
	kind kind

	mu      sync.Mutex
	process *process
	address string
	took    time.Duration // from the start of the process until it was ready; 0 while it is not
}

// kind is what there is to know about the processes of a unit. Methods are called by one goroutine at a time, except
// waitsFor.
type kind interface {
	// command is what to start for a new instance.
	command() *exec.Cmd
	// await returns where the instance serves once it can.
	await(ctx context.Context) (address string, err error)
	// waitsFor says why the instance cannot serve yet; empty where that is not known.
	waitsFor(ctx context.Context) string
	// lost clears up after an instance that has died.
	lost(ctx context.Context)
	// orderly reports whether a process that was asked to end has ended as it should.
	orderly(p *process) bool
}

func (u *unit) current() *process {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.process
}

func (u *unit) started(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.process, u.took = p, 0
}

func (u *unit) ready(address string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.address, u.took = address, time.Since(u.process.begun)
}

func (u *unit) row() row {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := row{process: u.name, state: "starting", address: u.address, took: u.took}
	if u.took > 0 {
		r.state = "ready"
	}
	if u.process != nil {
		r.pid = u.process.pid
	}
	return r
}
