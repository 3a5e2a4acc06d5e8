package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Mode is how a server is made to end (PostgreSQL's manual, "Shutting Down the
// Server").
type Mode string

const (
	// Fast rolls back what is open, ends connections and writes everything to disk.
	Fast Mode = "INT"
	// Immediate ends like a crash: the next start recovers from the log.
	Immediate Mode = "QUIT"
	// Kill ends the server's first process only, as kill -9 does. The others see that it is gone, and end by themselves.
	Kill Mode = "KILL"
)

// inUse is what a start says while processes of a server that was killed are still there.
const inUse = "pre-existing shared memory block"

// Halt ends the server and keeps its data, for Resume. Of Halt, AwaitEnd,
// Resume and Stop one may run at a time.
func (s *Server) Halt(ctx context.Context, mode Mode) error {
	if _, err := io.WriteString(s.alive, string(mode)+"\n"); err != nil {
		return fmt.Errorf("halt PostgreSQL: %w", err)
	}
	return s.AwaitEnd(ctx)
}

// AwaitEnd waits until the server has ended, also by itself: it does where its write-ahead log cannot be written.
func (s *Server) AwaitEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		// Written last. What is not written to the end yet is read again.
		if code, err := os.ReadFile(filepath.Join(s.home, "exit")); err == nil && bytes.HasSuffix(code, []byte("\n")) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL did not end: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Resume starts a server that has ended, on its data, and returns when it takes
// connections.
func (s *Server) Resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := os.Truncate(filepath.Join(s.home, "log"), 0); err != nil {
			return fmt.Errorf("resume PostgreSQL: %w", err)
		}
		err := s.again(ctx)
		if err == nil || !strings.Contains(err.Error(), inUse) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// again starts a server that has ended.
func (s *Server) again(ctx context.Context) error {
	// What the last one left must not be taken for what the next one says.
	for _, name := range []string{"exit", "data/postmaster.pid"} {
		if err := os.Remove(filepath.Join(s.home, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("resume PostgreSQL: %w", err)
		}
	}
	if _, err := io.WriteString(s.alive, "start\n"); err != nil {
		return fmt.Errorf("resume PostgreSQL: %w", err)
	}
	return s.ready(ctx)
}

// Restart halts the server and resumes it.
func (s *Server) Restart(ctx context.Context, mode Mode) error {
	if err := s.Halt(ctx, mode); err != nil {
		return err
	}
	return s.Resume(ctx)
}
