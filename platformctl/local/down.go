package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

const (
	downInterval = 50 * time.Millisecond
	// hurryTime is how long a platform may take to kill its processes and to take them out of Consul, before nobody is
	// left who could.
	hurryTime = 15 * time.Second
)

// Down is the command that stops what `up` runs.
type Down struct {
	HomeFlag

	Timeout time.Duration `help:"How long everything may take to stop before it is killed; up gives each process 30s." default:"4m"`
}

// Run implements the command. It returns when everything has stopped; that nothing runs is no error.
func (d *Down) Run(ctx context.Context, streams *output.Streams) error {
	out := newConsole(streams.Out, nil)
	pid, err := home.Holder(d.Home)
	if err != nil {
		return err
	}
	if pid == 0 {
		out.printf("Nothing runs on %s.", d.Home)
		return nil
	}
	ctx, _, stop := interruptible(ctx)
	defer stop()

	begun := time.Now()
	out.printf("Stopping what runs on %s (process %d).", d.Home, pid)
	if err := signalProcess(pid, syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(d.Timeout)
	defer timer.Stop()
	tick := time.NewTicker(downInterval)
	defer tick.Stop()
	late := false
	for {
		holder, err := home.Holder(d.Home)
		switch {
		case err != nil && late:
			return err
		case holder == pid || err != nil: // the latter: it is just giving the lock back
		case late:
			return fmt.Errorf("it did not stop within %s and was killed; its logs are in %s", d.Timeout, filepath.Join(d.Home, "logs"))
		default: // also if somebody has started another one
			out.printf("Stopped in %s.", seconds(time.Since(begun)))
			return nil
		}
		select {
		case <-ctx.Done():
			return exit.With(exit.Interrupted, fmt.Errorf("interrupted; process %d was asked to stop and is still stopping", pid))
		case <-timer.C:
			// The second signal: it kills its processes and clears up after them. Killing it too leaves that undone.
			signal := syscall.SIGTERM
			if late {
				signal = syscall.SIGKILL
			}
			late = true
			timer.Reset(hurryTime)
			if err := signalProcess(pid, signal); err != nil {
				return err
			}
		case <-tick.C:
		}
	}
}

// signalProcess sends a signal; a process that has ended is no error.
func signalProcess(pid int, signal syscall.Signal) error {
	err := syscall.Kill(pid, signal)
	if err == nil || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return fmt.Errorf("send %s to process %d, which runs the platform: %w", signal, pid, err)
}
