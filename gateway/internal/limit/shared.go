package limit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxAccounts bounds the buckets of which it is remembered what others have not been told yet.
	maxAccounts = maxBuckets / 4
	// toldEach is which part of a burst may be used before others are told.
	toldEach = 16
	// maxWaiting bounds the buckets that wait for their turn; those that find no room try again with their next request.
	maxWaiting = 4096
	// maxBatch is how many buckets are told of at once.
	maxBatch = 128
	// tellTime is how long the store has for an answer.
	tellTime = 250 * time.Millisecond
	// After a failure the store is left alone for so long, doubled from the first to the last.
	firstPause, lastPause = 50 * time.Millisecond, 2 * time.Second
)

// Store adds up what several gateways have taken from buckets. Its methods must end with their context.
type Store interface {
	// Spend takes from buckets, and fills in where they are then.
	Spend(ctx context.Context, spent []Spent) error
}

// Spent is what one gateway took from a bucket.
type Spent struct {
	// ID names the bucket.
	ID string
	// Cost is by how much it moves: the interval of its rate for each request.
	Cost time.Duration
	// Since is how long ago the first of the requests was.
	Since time.Duration
	// Window is how long an empty bucket takes to become full.
	Window time.Duration
	// Full is when the bucket will be full again, from now: what the store answers.
	Full time.Duration
}

// Sharing tells a store what was taken from buckets here, and learns what was taken elsewhere. Requests never wait for
// it: they are decided by the buckets that are here, which are a little late. Start comes before Stop, each once.
type Sharing struct {
	limiter  *Limiter
	store    Store
	log      *slog.Logger
	accounts *sharded[account]
	waiting  chan entry
	told     *prometheus.CounterVec
	away     atomic.Bool
	stop     context.CancelFunc
	done     chan struct{}
}

// account is what others have not been told of a bucket.
type account struct {
	requests int
	since    time.Duration
	waiting  bool
}

// entry is a bucket that others are to be told of.
type entry struct {
	key  uint64
	id   string
	rate rate
}

// Share lets l share its buckets by a store, from Start on. It must not be used before.
func (l *Limiter) Share(store Store, log *slog.Logger, registerer prometheus.Registerer) (*Sharing, error) {
	s := &Sharing{
		limiter: l, store: store, log: log, accounts: newSharded[account](maxAccounts), waiting: make(chan entry, maxWaiting),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_gateway_limits_shared_total", Help: "Exchanges with the store of shared rate limits, by outcome (ok, failed).",
		}, []string{"outcome"}),
		done: make(chan struct{}),
	}
	if err := registerer.Register(s.told); err != nil {
		return nil, err
	}
	l.sharing = s
	return s, nil
}

// Start begins to exchange. It needs no store that answers.
func (s *Sharing) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.run(ctx)
	return nil
}

// Stop ends the exchange.
func (s *Sharing) Stop(context.Context) error {
	s.stop()
	<-s.done
	return nil
}

// Reached tells whether the store answered when it was last asked.
func (s *Sharing) Reached() bool { return !s.away.Load() }

// note counts one request of a caller that was taken from a bucket.
func (s *Sharing) note(caller Caller, c *charge, now time.Duration) {
	part := s.accounts.of(c.key)
	part.mu.Lock()
	defer part.mu.Unlock()
	a := part.get(c.key)
	if a.requests == 0 {
		a.since = now
	}
	a.requests++
	if !a.waiting && a.requests*toldEach >= c.quota.Burst {
		select {
		case s.waiting <- entry{c.key, bucketID(caller, c), c.rate}:
			a.waiting = true
		default: // its next request tries again
		}
	}
	part.put(c.key, a)
}

// bucketID is the same in all gateways, of one length, and does not show who the caller is.
func bucketID(caller Caller, c *charge) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %s %q %d %d", caller.Principal, caller.Network, c.quota.Of, c.rate.interval, c.rate.window))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (s *Sharing) run(ctx context.Context) {
	defer close(s.done)
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-s.waiting:
			if s.tell(ctx, s.batch(first)) {
				pause = firstPause
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause + rand.N(pause)): //nolint:gosec // spreads load, keeps no secret
			pause = min(2*pause, lastPause)
		}
	}
}

// batch returns all that wait, up to a bound.
func (s *Sharing) batch(first entry) []entry {
	batch := []entry{first}
	for len(batch) < maxBatch {
		select {
		case next := <-s.waiting:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// tell tells the store of what was taken, and moves the buckets here to where they are for all.
func (s *Sharing) tell(ctx context.Context, batch []entry) bool {
	now := s.limiter.now()
	spent, told := make([]Spent, len(batch)), make([]account, len(batch))
	for i, e := range batch {
		told[i] = s.settle(e.key)
		spent[i] = Spent{ID: e.id, Cost: e.rate.times(told[i].requests), Since: max(now-told[i].since, 0), Window: e.rate.window}
	}
	limited, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	err := s.store.Spend(limited, spent)
	s.noteOutcome(ctx, err)
	for i, e := range batch {
		if err != nil {
			s.restore(e.key, told[i])
			continue
		}
		// What was taken since is not in the store yet.
		s.limiter.buckets.raise(e.key, now+spent[i].Full+e.rate.times(s.owed(e.key)))
	}
	return err == nil
}

func (s *Sharing) noteOutcome(ctx context.Context, err error) {
	if err == nil {
		s.told.WithLabelValues("ok").Inc()
		if s.away.Swap(false) {
			s.log.InfoContext(ctx, "rate limits are shared again")
		}
		return
	}
	s.told.WithLabelValues("failed").Inc()
	if ctx.Err() == nil && !s.away.Swap(true) {
		s.log.WarnContext(ctx, "rate limits are not shared at the moment: each gateway counts for itself", "error", err)
	}
}

// settle returns what others are told of a bucket now.
func (s *Sharing) settle(key uint64) account {
	part := s.accounts.of(key)
	part.mu.Lock()
	defer part.mu.Unlock()
	a := part.get(key)
	part.put(key, account{})
	return a
}

// restore undoes settle.
func (s *Sharing) restore(key uint64, told account) {
	part := s.accounts.of(key)
	part.mu.Lock()
	defer part.mu.Unlock()
	a := part.get(key)
	a.requests, a.since = a.requests+told.requests, told.since
	part.put(key, a)
}

func (s *Sharing) owed(key uint64) int {
	part := s.accounts.of(key)
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.get(key).requests
}
