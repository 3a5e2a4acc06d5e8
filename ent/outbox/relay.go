package outbox

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	"github.com/cenkalti/backoff/v5"
)

// Sink delivers a batch of payloads, in order. On an error the whole batch is
// delivered again later, so receivers remove duplicates by the id that an event
// carries; what can never be delivered the sink must put aside itself, or
// everything behind it waits. It must return when ctx ends, which is at the
// latest when another relay may begin to deliver.
type Sink func(ctx context.Context, payloads [][]byte) error

// Config is how a relay works. The zero value is good for production.
type Config struct {
	// Name tells relays of one database apart that deliver different tables; those
	// of one name take turns. Default "outbox".
	Name string
	// Batch is the most events of one call of the sink. Default 100.
	Batch int
	// Poll is how often it looks for events that nobody woke it for: those of
	// other processes, and of transactions not made with [database.InTx].
	// Default 1 s.
	Poll time.Duration
	// Lease is how long others wait at most for a relay that vanished while it
	// delivered; on PostgreSQL not at all for one whose process died. The sink gets
	// between half and three quarters of it for one batch. Default 10 s.
	Lease time.Duration
	// MinBackoff and MaxBackoff bound the pause after a failure. Defaults 100 ms
	// and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// Measure is how often depth and age are measured, for the metrics, whether this
	// relay delivers or not. Default 5 s.
	Measure time.Duration
}

// Relay drains an outbox into a sink. Any number may run on one database, in one
// process or many: one of them works at a time.
type Relay struct {
	outbox   *Outbox
	sink     Sink
	config   Config
	turns    turns
	pause    *backoff.ExponentialBackOff
	attempts int // failures in a row

	mu       sync.Mutex
	stopping chan struct{}
	cancel   context.CancelFunc
	done     chan struct{}
}

// NewRelay returns a relay that is not started.
func NewRelay(o *Outbox, sink Sink, config Config) *Relay {
	fallback := func(value *time.Duration, otherwise time.Duration) {
		if *value <= 0 {
			*value = otherwise
		}
	}
	fallback(&config.Poll, time.Second)
	fallback(&config.Lease, 10*time.Second)
	fallback(&config.MinBackoff, 100*time.Millisecond)
	fallback(&config.MaxBackoff, 30*time.Second)
	fallback(&config.Measure, 5*time.Second)
	if config.Batch <= 0 {
		config.Batch = 100
	}
	if config.Name == "" {
		config.Name = "outbox"
	}
	return &Relay{
		outbox: o,
		sink:   sink,
		config: config,
		turns:  newTurns(o, config),
		pause: &backoff.ExponentialBackOff{
			InitialInterval: config.MinBackoff, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: config.MaxBackoff,
		},
	}
}

func newTurns(o *Outbox, config Config) turns {
	if o.db.Dialect == dialect.Postgres {
		return &rowLock{outbox: o, name: config.Name, duration: config.Lease}
	}
	return &lease{outbox: o, name: config.Name, holder: cryptorand.Text(), duration: config.Lease}
}

// Start begins to deliver, on a goroutine of its own, until Stop. The end of ctx
// does not end it.
func (r *Relay) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done != nil {
		return errors.New("the relay of the outbox is started already")
	}
	r.stopping, r.done = make(chan struct{}), make(chan struct{})
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go r.run(ctx)
	return nil
}

// Stop tries once to deliver what is there and ends the relay. When ctx ends
// first, what is left stays for the next start; the error says so. A relay that
// is not started, or has been stopped, is left alone.
func (r *Relay) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		return nil
	}
	close(r.stopping)
	var err error
	select {
	case <-r.done:
	case <-ctx.Done():
		err = fmt.Errorf("the outbox was not delivered to the end; the rest follows after the next start: %w", ctx.Err())
	}
	r.cancel()
	<-r.done
	r.done = nil
	return err
}

// run is the life of the relay.
func (r *Relay) run(ctx context.Context) {
	defer close(r.done)
	watching, stopWatching := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { r.outbox.watch(watching, r.config.Measure) })
	defer watch.Wait()
	defer stopWatching()
	for {
		stopped := false
		select {
		case <-r.stopping:
			stopped = true
		default:
		}
		busy, err := r.drain(ctx)
		wait, wake := r.config.Poll, r.outbox.wake
		switch {
		case err != nil && ctx.Err() == nil:
			// Only the pause ends the pause: a new event does not make the sink well.
			wait, wake = r.failed(ctx, err), nil
		case err == nil && busy:
			// The other delivers what is written meanwhile, too; if it has just ended, this one takes over soon.
			wait, wake = spread(r.config.Poll/10), nil
		case err == nil:
			r.pause.Reset()
			r.attempts = 0
			wait = spread(wait)
		}
		if stopped || ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-wake:
		case <-r.stopping:
		}
		timer.Stop()
	}
}

// spread is about so long, so that not all instances do something at the same
// moment.
func spread(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // spreads load; nobody gains by guessing it
}

// failed records a failure and returns how long to wait after it.
func (r *Relay) failed(ctx context.Context, err error) time.Duration {
	r.attempts++
	wait := r.pause.NextBackOff()
	r.outbox.metrics.failures.Inc()
	r.outbox.log.WarnContext(ctx, "the outbox could not be delivered; it is tried again",
		"relay", r.config.Name, "attempt", r.attempts, "after", wait, "error", err)
	return wait
}

// drain delivers until the outbox is empty. It says whether another relay is at
// work instead.
func (r *Relay) drain(ctx context.Context) (busy bool, err error) {
	for {
		empty, err := r.outbox.empty(ctx)
		if err != nil {
			return false, err
		}
		if empty {
			r.outbox.metrics.none()
			return false, nil
		}
		for more := true; more; {
			if more, busy, err = r.next(ctx); err != nil || busy {
				return busy, err
			}
		}
	}
}

// next delivers one batch. It says whether there may be more, or whether another
// relay is at work instead.
func (r *Relay) next(ctx context.Context) (more, busy bool, err error) {
	t, err := r.turns.take(ctx)
	if err != nil || t == nil {
		return false, err == nil, err
	}
	b, err := t.head(ctx, r.config.Batch)
	if err == nil && len(b.keys) > 0 {
		err = r.deliver(ctx, t, b)
	}
	if err != nil || len(b.keys) == 0 {
		// Another instance may do better, and need not wait for us to fail again.
		return false, false, errors.Join(err, t.abandon(ctx))
	}
	if err := t.settle(ctx, b); err != nil {
		return false, false, err
	}
	r.outbox.metrics.delivered.Add(float64(len(b.keys)))
	return !b.all, false, nil
}

// deliver hands a batch to the sink, for as long as nobody else may.
func (r *Relay) deliver(ctx context.Context, t turn, b batch) error {
	ctx, cancel := context.WithDeadline(ctx, t.until())
	defer cancel()
	if err := r.sink(ctx, b.payloads); err != nil {
		return fmt.Errorf("deliver %d events from %s on: %w", len(b.payloads), b.first, err)
	}
	return nil
}
