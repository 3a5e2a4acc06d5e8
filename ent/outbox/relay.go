package outbox

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

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
	// Lease is how long others wait for a relay that died while it delivered. The
	// sink gets between half and three quarters of it for one batch. Default 10 s.
	Lease time.Duration
	// MinBackoff and MaxBackoff bound the pause after a failure. Defaults 100 ms
	// and 30 s.
	MinBackoff, MaxBackoff time.Duration
}

// measureInterval is how often at most the queue is counted while it is not empty.
const measureInterval = 5 * time.Second

// Relay drains an outbox into a sink. Any number may run on one database, in one
// process or many: one of them works at a time.
type Relay struct {
	outbox   *Outbox
	sink     Sink
	config   Config
	lease    lease
	pause    *backoff.ExponentialBackOff
	measured time.Time
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
		lease:  lease{db: o.db, name: config.Name, holder: cryptorand.Text(), duration: config.Lease},
		pause: &backoff.ExponentialBackOff{
			InitialInterval: config.MinBackoff, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: config.MaxBackoff,
		},
	}
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
	for {
		stopped := false
		select {
		case <-r.stopping:
			stopped = true
		default:
		}
		err := r.drain(ctx)
		wait, wake := r.config.Poll, r.outbox.wake
		if err != nil && ctx.Err() == nil {
			// Only the pause ends the pause: a new event does not make the sink well.
			wait, wake = r.failed(ctx, err), nil
		} else if err == nil {
			r.pause.Reset()
			r.attempts = 0
			// Not all instances at the same moment.
			wait = wait*3/4 + rand.N(wait/2+1) //nolint:gosec // spreads load; nobody gains by guessing it
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

// failed records a failure and returns how long to wait after it.
func (r *Relay) failed(ctx context.Context, err error) time.Duration {
	r.attempts++
	wait := r.pause.NextBackOff()
	r.outbox.metrics.failures.Inc()
	r.outbox.log.WarnContext(ctx, "the outbox could not be delivered; it is tried again",
		"relay", r.config.Name, "attempt", r.attempts, "after", wait, "error", err)
	return wait
}

// drain delivers until the outbox is empty or another relay is at work.
func (r *Relay) drain(ctx context.Context) error {
	for {
		empty, err := r.outbox.empty(ctx)
		if err != nil {
			return err
		}
		if empty {
			r.outbox.metrics.depth.Set(0)
			r.outbox.metrics.oldest.Set(0)
			return nil
		}
		if time.Since(r.measured) > measureInterval {
			if err := r.outbox.measure(ctx); err != nil {
				return err
			}
			r.measured = time.Now()
		}
		held, err := r.turn(ctx)
		if err != nil || !held {
			return err
		}
	}
}

// turn delivers batches while it has the lease, until none is left. It says
// whether it had the lease at all.
func (r *Relay) turn(ctx context.Context) (bool, error) {
	held, err := r.take(ctx)
	if err != nil || !held {
		return false, err
	}
	for held {
		if !r.lease.fresh() {
			if held, err = r.take(ctx); err != nil || !held {
				return held, err
			}
		}
		b, err := r.outbox.head(ctx, r.config.Batch)
		if err == nil && len(b.rows) > 0 {
			err = r.deliver(ctx, b)
		}
		if err != nil {
			// Another instance may do better, and need not wait for us to fail again.
			return true, errors.Join(err, r.giveBack(ctx))
		}
		if len(b.rows) == 0 {
			return true, r.giveBack(ctx)
		}
		if held, err = r.outbox.remove(ctx, b, &r.lease); err != nil {
			return true, err
		}
		r.outbox.metrics.delivered.Add(float64(len(b.rows)))
	}
	return true, nil
}

func (r *Relay) take(ctx context.Context) (held bool, err error) {
	err = r.outbox.write(ctx, func(ctx context.Context, tx Execer) error {
		held, err = r.lease.take(ctx, tx)
		return err
	})
	return held, err
}

func (r *Relay) giveBack(ctx context.Context) error {
	return r.outbox.settle(ctx, r.lease.giveBack)
}

// deliver hands a batch to the sink, for as long as nobody else may.
func (r *Relay) deliver(ctx context.Context, b batch) error {
	ctx, cancel := context.WithDeadline(ctx, r.lease.ends.Add(-r.lease.duration/4))
	defer cancel()
	if err := r.sink(ctx, b.payloads); err != nil {
		return fmt.Errorf("deliver %d events from %s on: %w", len(b.payloads), b.first, err)
	}
	return nil
}
