package database

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

// fullFor is how long after a write has failed on a full disk [Database.Up] says so. It is several looks of who looks
// now and then, and short enough that the end of it is seen soon.
const fullFor = 10 * time.Second

// full remembers that a write has found the disk full. Nothing else shows it: reads go on, and a write that is made
// only to see would have to be as large as the next one.
type full struct {
	mu   sync.Mutex
	err  error
	seen time.Time
}

// note takes the outcome of a statement or a transaction.
func (f *full) note(err error) {
	if err == nil || !isFull(err) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.seen = err, time.Now()
}

// lately is the last such failure, or nil where it was a while ago.
func (f *full) lately() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.seen) >= fullFor {
		f.err = nil
	}
	return f.err
}

// isFull says whether a database had no room on its disk.
func isFull(err error) bool {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusal.Code == codeDiskFull
	}
	return isSQLite(err, sqlite3.SQLITE_FULL) || errors.Is(err, syscall.ENOSPC)
}
