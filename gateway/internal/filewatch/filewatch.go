// Package filewatch tells when files are no longer what they were, however they are changed: written to, replaced by
// another one, as editors do it, or reached through a symbolic link that changes, as Kubernetes does it. It must not know
// what is in them.
package filewatch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is for how long nothing may happen in a folder before the files are looked at, so that several writes are
	// one change; patience is how long something may go on happening.
	settleTime = 100 * time.Millisecond
	patience   = time.Second
	// pollTime is how often the files are looked at anyway: not every file system tells.
	pollTime = 10 * time.Second
	// maxBytes bounds what is read of each file.
	maxBytes = 2 << 20
)

// Watcher watches a few small files.
type Watcher struct {
	files []string
	log   *slog.Logger
	poll  time.Duration
	seen  [sha256.Size]byte
}

// New returns a watcher of files.
func New(log *slog.Logger, files ...string) *Watcher {
	return &Watcher{files: files, log: log, poll: pollTime}
}

// Run calls changed once at the beginning, because what was read before may have changed since, and then whenever the
// content or the permissions of a file are not what they were, until ctx ends. It waits for changed to return.
func (w *Watcher) Run(ctx context.Context, changed func(context.Context)) {
	var events <-chan fsnotify.Event
	var failures <-chan error
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.WarnContext(ctx, "changes of files are not told: they are looked at from time to time", "error", err, "every", w.poll)
	} else {
		defer func() { _ = notifier.Close() }()
		events, failures = notifier.Events, notifier.Errors
	}
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	settled := time.NewTimer(0)
	defer settled.Stop()
	var since time.Time // when something began to happen; zero: nothing does
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			w.look(ctx, notifier, changed)
		case <-settled.C:
			since = time.Time{}
			w.look(ctx, notifier, changed)
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			since = begin(since)
			settled.Reset(min(settleTime, max(time.Until(since.Add(patience)), 0)))
		case err, ok := <-failures: // such as events that were lost
			if !ok {
				failures = nil
				continue
			}
			w.log.WarnContext(ctx, "watching files", "error", err)
			since = begin(since)
			settled.Reset(settleTime)
		}
	}
}

func begin(since time.Time) time.Time {
	if since.IsZero() {
		return time.Now()
	}
	return since
}

// look calls changed where the files have changed. It first sees to it that what changes from now on is told.
func (w *Watcher) look(ctx context.Context, notifier *fsnotify.Watcher, changed func(context.Context)) {
	if notifier != nil {
		follow(notifier, w.files)
	}
	if now := w.fingerprint(); now != w.seen {
		w.seen = now
		changed(ctx)
	}
}

// fingerprint is of the content and the permissions of all files.
func (w *Watcher) fingerprint() [sha256.Size]byte {
	all := sha256.New()
	for _, path := range w.files {
		sum, mode, err := read(path)
		_, _ = fmt.Fprintf(all, "%q %x %v %v\n", path, sum, mode, err)
	}
	return [sha256.Size]byte(all.Sum(nil))
}

func read(path string) (sum []byte, mode os.FileMode, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, err // a pipe would keep us
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, info.Mode(), err
	}
	defer func() { _ = file.Close() }()
	content := sha256.New()
	_, err = io.Copy(content, io.LimitReader(file, maxBytes))
	return content.Sum(nil), info.Mode(), err
}
