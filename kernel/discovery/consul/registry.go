package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/consul/api"

	"ashlar.dev/kernel/discovery"
)

// ErrClosed is returned by a registry that has been closed.
var ErrClosed = errors.New("consul: the registry is closed")

// Registry implements discovery.Registrar and discovery.Directory with a Consul agent. It is safe for concurrent use.
type Registry struct {
	address   string // for messages
	tag       string // of what is registered and seen
	client    *api.Client
	transport *http.Transport
	log       *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines of views and keepers

	registering chan struct{} // holds one token; taken for one Register or Deregister at a time

	mu       sync.Mutex
	closed   bool
	keepers  map[string]*keeper                                 // by instance ID
	views    map[string]*discovery.Source[[]discovery.Instance] // by service
	services *discovery.Source[[]string]
	// confirmed has, by what each view shows, when Consul last answered.
	confirmed map[string]*atomic.Int64
}

var (
	_ discovery.Registrar = (*Registry)(nil)
	_ discovery.Directory = (*Registry)(nil)
)

// New returns a registry. It does no I/O: Ping finds out whether an agent is there. A nil log discards.
func New(cfg Config, log *slog.Logger) (*Registry, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	address := cfg.Address
	if address == "" {
		address = api.DefaultConfig().Address
	}
	transport := &http.Transport{
		// No proxy: the agent is next door, and a proxy would cut blocking queries.
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   8,
		ExpectContinueTimeout: time.Second,
	}
	client, err := api.NewClient(&api.Config{Address: address, Token: cfg.Token.Reveal(), Transport: transport})
	if err != nil {
		return nil, fmt.Errorf("consul: address %q or the CONSUL_* environment variables cannot be used: %w", address, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Registry{
		tag:         cfg.tag(),
		address:     address,
		client:      client,
		transport:   transport,
		log:         log.With("consul", address),
		ctx:         ctx,
		cancel:      cancel,
		registering: make(chan struct{}, 1),
		keepers:     make(map[string]*keeper),
		views:       make(map[string]*discovery.Source[[]discovery.Instance]),
		confirmed:   make(map[string]*atomic.Int64),
	}, nil
}

// Close ends all goroutines and waits for them. Views keep their last value. What is registered stays registered, but is no
// longer kept so: call Deregister before. Closing twice is no error.
func (r *Registry) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.work.Wait()
	r.transport.CloseIdleConnections()
	return nil
}

// Instances implements discovery.Directory.
func (r *Registry) Instances(service string) *discovery.Watch[[]discovery.Instance] {
	r.mu.Lock()
	defer r.mu.Unlock()
	view, started := r.views[service]
	if !started {
		view = discovery.NewSource(discovery.SameInstances)
		r.views[service] = view
		start(r, feed[discovery.Instance]{
			what: "instances of " + service,
			out:  view,
			view: newView(func(i discovery.Instance) string { return i.ID + " " + i.Address }, discovery.SortInstances),
			ask: func(q *api.QueryOptions) ([]discovery.Instance, *api.QueryMeta, error) {
				return r.healthy(service, q)
			},
		})
	}
	return view.Watch()
}

// Services implements discovery.Directory.
func (r *Registry) Services() *discovery.Watch[[]string] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.services == nil {
		r.services = discovery.NewSource(slices.Equal[[]string])
		start(r, feed[string]{
			what: "services",
			out:  r.services,
			view: newView(func(name string) string { return name }, slices.Sort[[]string]),
			ask:  r.tagged,
		})
	}
	return r.services.Watch()
}

// newBackOff returns the waiting times between failed tries, forever.
func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = minBackoff, maxBackoff, 2, 0.5
	return b
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
