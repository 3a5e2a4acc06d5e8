package upstream

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// killAfter is how long a reference server may take to end. The suite's runner kills whoever takes longer than 5 s.
const killAfter = 2 * time.Second

// Keep runs a program and passes on what comes on standard input, at the end of which it ends the program. So programs end
// with the process that started this one, also when that is killed: the kernel closes its end of the pipe, on every system.
func Keep(program string) error {
	command := exec.Command(program)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	// Signals to all that run in a terminal are for those that know what to do about them.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	if err := command.Start(); err != nil {
		return err
	}
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(in, os.Stdin)
		over.Store(true)
		_ = command.Process.Signal(syscall.SIGTERM)
		time.AfterFunc(killAfter, func() { _ = command.Process.Kill() })
	}()
	if err := command.Wait(); !over.Load() {
		return err
	}
	return nil // it ended by a signal, which is no success
}
