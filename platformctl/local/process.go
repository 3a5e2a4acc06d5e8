package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a child that was started.
type process struct {
	name    string
	pid     int
	begun   time.Time
	log     string // path
	logFrom int64  // where in the log it begins
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
}

// launch starts a process whose output goes to the end of a log file.
func (s *spawner) launch(name string, cmd *exec.Cmd, log string) (*process, error) {
	file, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the process has its own
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = file, file
	p := &process{name: name, begun: time.Now(), log: log, logFrom: info.Size(), cmd: cmd, done: make(chan struct{})}
	if err := s.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // how it ended is in its ProcessState
		close(p.done)
	}()
	return p, nil
}

// ended says how it ended; only after done is closed.
func (p *process) ended() string { return p.cmd.ProcessState.String() }

// clean reports whether it ended by itself, in order; only after done is closed.
func (p *process) clean() bool { return p.cmd.ProcessState.Success() }

// stop asks the process to end, and kills it when the time or somebody's patience (hurry) is at its end. It returns when the
// process has ended, and says whether it had to be killed.
func (p *process) stop(patience time.Duration, hurry <-chan struct{}) (killed bool) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		patience = 0
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return false
	case <-timer.C:
	case <-hurry:
	}
	p.kill()
	<-p.done
	return true
}

// kill ends the process and what it has started.
func (p *process) kill() {
	select {
	case <-p.done: // its id may be somebody else's by now
	default:
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		_ = p.cmd.Process.Kill()
	}
}
