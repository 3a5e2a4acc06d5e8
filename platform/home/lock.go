package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	lockFile = "lock"
	// Who only looks whether a lock is held holds it for a moment. So one that is held by nobody known is tried again.
	lockPatience = 300 * time.Millisecond
	lockInterval = 10 * time.Millisecond
)

// lock is a file that one process holds; the system takes it from a process that dies. The file holds the process id.
type lock struct{ file *os.File }

// takeLock takes the lock of a home folder, or says who has it.
func takeLock(path, shown string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockInterval) {
		err = flock(file, syscall.LOCK_EX)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		if time.Now().Before(deadline) {
			continue
		}
		inUse := InUseError{Dir: shown}
		inUse.PID, _ = readPID(path)
		_ = file.Close()
		return nil, inUse
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &lock{file}, nil
}

// release gives the lock back. The file stays: removing it would let two hold a lock of the same name.
func (l *lock) release() {
	_ = l.file.Truncate(0)
	_ = l.file.Close()
}

// InUseError says that another process has the home folder.
type InUseError struct {
	Dir string
	// PID is that process; 0 where it is not known.
	PID int
}

// Error implements error.
func (e InUseError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("a platform runs on %s already (%s): stop it (`./taskw down` where it is in the background), or use another folder with %s",
		e.Dir, who, DirVariable)
}

// Holder returns the process that has a home folder; 0 where none has.
func Holder(dir string) (int, error) {
	path := filepath.Join(dir, lockFile)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockInterval) {
		// Shared, so that two who look do not see each other.
		err := flock(file, syscall.LOCK_SH)
		if err == nil {
			return 0, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, fmt.Errorf("lock %s: %w", path, err)
		}
		pid, err := readPID(path)
		if err == nil {
			return pid, nil
		}
		if time.Now().After(deadline) { // it has been taken, but not written to, for long
			return 0, err
		}
	}
}

func readPID(path string) (int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s is held by a process that has not written its id there", path)
	}
	return pid, nil
}

// flock tries to lock file, without waiting.
func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
