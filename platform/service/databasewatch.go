package service

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/kernel/health"
)

const (
	// lookEvery is the time between two looks at the database, a quarter more or less: instances that began together
	// do not look together.
	lookEvery = 2 * time.Second
	// lookAgain is that time while the last look failed. It bounds how late its return is seen.
	lookAgain = 500 * time.Millisecond
	// lookWithin bounds one look.
	lookWithin = 2 * time.Second
	// failuresUntilDown is how many looks in a row have to fail: one that fails says little, one that succeeds all.
	failuresUntilDown = 3
)

// databaseWatch looks at the database now and then, and says in the status of the process whether it is there. Probes
// cost the database nothing.
type databaseWatch struct {
	look   func(context.Context) error
	status *health.Status
	log    *slog.Logger
	up     prometheus.Gauge

	failures int // in a row
	cancel   context.CancelFunc
	done     chan struct{}
}

func newDatabaseWatch(look func(context.Context) error, status *health.Status, log *slog.Logger, metrics prometheus.Registerer) *databaseWatch {
	w := &databaseWatch{look: look, status: status, log: log, up: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ashlar_database_up",
		Help: "Whether the database answers, and as far as is known takes writes: 0 after three looks in a row that failed, or before it is open, 1 otherwise.",
	})}
	metrics.MustRegister(w.up)
	return w
}

// start begins, with a database that is open.
func (w *databaseWatch) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan struct{})
	w.up.Set(1)
	go func() {
		defer close(w.done)
		w.run(ctx)
	}()
}

// stop ends it.
func (w *databaseWatch) stop(context.Context) error {
	w.cancel()
	<-w.done
	return nil
}

func (w *databaseWatch) run(ctx context.Context) {
	timer := time.NewTimer(w.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		looking, cancel := context.WithTimeout(ctx, lookWithin)
		err := w.look(looking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.found(ctx, err)
		timer.Reset(w.pause())
	}
}

func (w *databaseWatch) pause() time.Duration {
	every := lookEvery
	if w.failures > 0 {
		every = lookAgain
	}
	return every*3/4 + rand.N(every/2) //nolint:gosec // spreads load; nobody gains by guessing it
}

// found takes what a look has found.
func (w *databaseWatch) found(ctx context.Context, err error) {
	if err == nil {
		if w.failures >= failuresUntilDown {
			w.log.InfoContext(ctx, "the database is there again")
			w.status.Wait(databaseOf, "")
			w.up.Set(1)
		}
		w.failures = 0
		return
	}
	w.failures++
	if w.failures < failuresUntilDown {
		return
	}
	if w.failures == failuresUntilDown {
		w.log.ErrorContext(ctx, "the database is away, or cannot be written", "error", err)
		w.up.Set(0)
	}
	w.status.Wait(databaseOf, strings.Join(strings.Fields(err.Error()), " "))
}
