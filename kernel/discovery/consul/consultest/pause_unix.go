//go:build unix

package consultest

import "syscall"

// Pause stops the agent without ending it: it takes connections and answers nothing.
func (a *Agent) Pause() { a.send(syscall.SIGSTOP) }

// Resume lets a paused agent go on.
func (a *Agent) Resume() { a.send(syscall.SIGCONT) }

func (a *Agent) send(signal syscall.Signal) {
	a.t.Helper()
	if a.cmd == nil {
		a.t.Fatalf("consul does not run, so it cannot get %s", signal)
	}
	if err := a.cmd.Process.Signal(signal); err != nil {
		a.t.Fatalf("sending %s to consul: %v", signal, err)
	}
}
