package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// startingPause is the time between two attempts to reach a server that starts.
const startingPause = 250 * time.Millisecond

// Check connects to the database, makes its file if it is missing, and tries
// that it can be written, so that a wrong address, password or permission shows
// now and not at the first request. A server that says that it is starting, or
// recovering from a crash, is waited for until ctx ends.
func (d *Database) Check(ctx context.Context) error {
	for {
		err := d.source.probe(ctx, d.DB)
		if !isStarting(err) {
			return err
		}
		timer := time.NewTimer(startingPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// isStarting says whether a server is there and takes no connections yet.
func isStarting(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == codeStarting
}
