package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a child that was started.
type process struct {
	name     string
	instance instance
	pid      int
	begun    time.Time
	log      string // path
	logFrom  int64  // where in the log it begins
	cmd      *exec.Cmd
	done     chan struct{} // closed when it has ended

	mu      sync.Mutex
	address string        // where it serves
	took    time.Duration // from its start until it could serve; 0 while it cannot
}

// launch starts the process of an instance. Its output goes to the end of a log file.
func (s *spawner) launch(name string, instance instance, log string) (*process, error) {
	file, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the process has its own
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	cmd, err := instance.command()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() {
		for _, handed := range cmd.ExtraFiles { // the process has its own
			_ = handed.Close()
		}
	}()
	cmd.Stdout, cmd.Stderr = file, file
	p := &process{name: name, instance: instance, begun: time.Now(), log: log, logFrom: info.Size(), cmd: cmd, done: make(chan struct{})}
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

// serving notes that it can serve from now on.
func (p *process) serving(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address, p.took = address, time.Since(p.begun)
}

// serves returns where it serves and how long it took to get there; took is 0 while it cannot serve.
func (p *process) serves() (address string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address, p.took
}

// ready reports whether it has become able to serve.
func (p *process) ready() bool {
	_, took := p.serves()
	return took > 0
}

// over reports whether it has ended.
func (p *process) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
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
	if p.over() { // its id may be somebody else's by now
		return
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	_ = p.cmd.Process.Kill()
}
