//go:build unix

package consultest

import (
	"syscall"
	"time"
)

// Pause stops the agent without ending it, and waits until it has stopped: it takes connections and answers nothing.
func (a *Agent) Pause() {
	a.t.Helper()
	a.send(syscall.SIGSTOP)
	// A signal works some time after it was sent. The system tells a parent once, when all threads have stopped.
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(a.cmd.Process.Pid, &status, syscall.WUNTRACED|syscall.WNOHANG, nil); err == nil && status.Stopped() {
			return
		}
	}
	a.t.Fatalf("consul did not stop within %s", readyWithin)
}

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
