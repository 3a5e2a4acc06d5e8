// Package filelock is a lock between processes of one machine, which the
// operating system releases when the process that holds it ends, however it
// ends. It must not know what is locked.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// errHeld says that another process, or another call in this one, has the lock.
var errHeld = errors.New("held by another")

// interval is the time between two attempts.
const interval = 20 * time.Millisecond

// Lock waits until it has the lock that the file at path stands for. The file
// is made if missing and stays: deleting it would let two have the lock.
// Calling unlock more than once is an error.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := try(file)
		if err == nil {
			// Closing the file releases the lock.
			return file.Close, nil
		}
		if !errors.Is(err, errHeld) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the lock %s, which another process holds: %w", path, ctx.Err()), file.Close())
		case <-tick.C:
		}
	}
}
