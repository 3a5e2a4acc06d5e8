package local

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives until close. On Linux a process is told to end when the thread
// that started it ends (see attributes), and Go ends threads when it likes.
type spawner struct {
	starts chan func()
	ended  chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{starts: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		runtime.LockOSThread()
		// Unlocked at the end, the thread goes on; otherwise it would end with the goroutine.
		defer runtime.UnlockOSThread()
		for start := range s.starts {
			start()
		}
	}()
	return s
}

// start starts a process in a process group of its own, so that Ctrl-C in a terminal does not reach it.
func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = attributes()
	failed := make(chan error, 1)
	s.starts <- func() { failed <- cmd.Start() }
	return <-failed
}

// close ends the thread's work. All processes must have ended.
func (s *spawner) close() {
	close(s.starts)
	<-s.ended
}
