package database

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// waitAtMost bounds how long a statement or a transaction waits for a connection. It is that of a lock on PostgreSQL, and
// of those who write on SQLite, where the address can have another.
const waitAtMost = 5 * time.Second

// ErrOverloaded says that there was no connection to be had in time, or on SQLite no turn to write: nothing was done.
// The database need not be slow: more is asked of this process than its connections can do.
var ErrOverloaded = errors.New("no connection to the database was free in time")

// turns lets so many in at a time, and turns away who has waited too long. database/sql has a queue of its own, in
// which everybody waits until the deadline: by then it is too late to tell a caller anything.
type turns struct {
	slots  chan struct{}
	atMost time.Duration
	waited prometheus.Counter // seconds
	denied prometheus.Counter
}

func newTurns(n int, atMost time.Duration) *turns {
	return &turns{
		slots: make(chan struct{}, n), atMost: atMost,
		waited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_database_wait_seconds_total", Help: "Time that statements and transactions have waited for a connection or a turn.",
		}),
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_database_overloaded_total", Help: "Statements and transactions that got no connection or turn in time.",
		}),
	}
}

// take waits for a turn: at most as long as is allowed, and half of the time that the caller has left, so that there
// is time to answer. The turn ends when the function that it returns is called the first time.
func (t *turns) take(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case t.slots <- struct{}{}:
		return t.end, nil
	default:
	}
	begun := time.Now()
	defer func() { t.waited.Add(time.Since(begun).Seconds()) }()
	timer := time.NewTimer(t.patience(ctx))
	defer timer.Stop()
	select {
	case t.slots <- struct{}{}:
		return t.end, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		t.denied.Inc()
		return nil, ErrOverloaded
	}
}

// patience is how long a caller waits at most.
func (t *turns) patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(t.atMost, time.Until(deadline)/2)
	}
	return t.atMost
}

func (t *turns) end() { <-t.slots }
