// Package learn keeps the table of routes up to date: it watches discovery and asks each service for its manifest. It
// knows no service by name and nothing of the requests that follow the table.
package learn

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/discovery"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// settleEvery is how often a refused service is looked at again, so that it gets what another has given up.
	settleEvery = 10 * time.Second
)

// Ask asks an instance of a version of a service for the manifest.
type Ask func(ctx context.Context, service, version string) (*kernelv1.GetManifestResponse, error)

// Option adds to a learner.
type Option func(*Learner)

// Check has the annotations of a service looked at, by which it is called by REST, before a table has them.
func Check(check func([]protoreflect.ServiceDescriptor, *protoregistry.Files) error) Option {
	return func(l *Learner) { l.check = check }
}

// Tell has each new table told before it holds, one after the other. Who is told must not take long.
func Tell(listeners ...func(*routes.Table)) Option {
	return func(l *Learner) { l.listeners = listeners }
}

// Learner learns routes between Start and Stop. Table is safe for concurrent use at any time.
type Learner struct {
	self      string
	directory discovery.Directory
	ask       Ask
	own       []*routes.Route
	log       *slog.Logger
	check     func([]protoreflect.ServiceDescriptor, *protoregistry.Files) error
	listeners []func(*routes.Table)
	table     atomic.Pointer[routes.Table]
	leftOut   leftOut

	running sync.WaitGroup
	cancel  context.CancelFunc

	mu      sync.Mutex
	book    *book
	pending map[string]bool // of the first look: services that have not been asked yet
	looked  chan struct{}
	told    map[*routes.Module]string
	refused []refusal
	wrong   map[string]fault
}

// New returns a learner that passes over the service named self. own is what the gateway itself serves.
func New(self string, directory discovery.Directory, ask Ask, own []*routes.Route, log *slog.Logger, options ...Option) *Learner {
	l := &Learner{
		self: self, directory: directory, ask: ask, own: own, log: log,
		check: func([]protoreflect.ServiceDescriptor, *protoregistry.Files) error { return nil },
		book:  newBook(), looked: make(chan struct{}), told: map[*routes.Module]string{},
		wrong: map[string]fault{}, leftOut: leftOut{changed: make(chan struct{})},
	}
	l.table.Store(routes.NewTable(own))
	for _, option := range options {
		option(l)
	}
	return l
}

// Table returns the table as it is now.
func (l *Learner) Table() *routes.Table { return l.table.Load() }

// Start begins to watch, and returns after the first look: when discovery has named the services and each of them
// has been asked once. A service that does not answer is asked again later and does not hold up the others.
func (l *Learner) Start(ctx context.Context) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.running.Go(func() { l.watch(running) })
	select {
	case <-l.looked:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("discovery has not shown which services there are: %w", ctx.Err())
	}
}

// Stop ends watching. The table stays as it is.
func (l *Learner) Stop(context.Context) error {
	if l.cancel != nil {
		l.cancel()
		l.running.Wait()
	}
	return nil
}

// watch follows each service that discovery names, from then on until the end: one that has gone may come back.
func (l *Learner) watch(ctx context.Context) {
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	services := l.directory.Services()
	followed := map[string]bool{l.self: true}
	for {
		names, known, changed := services.Get()
		if known {
			l.present(names)
			for _, name := range names {
				if !followed[name] {
					followed[name] = true
					l.running.Go(func() { l.follow(ctx, name) })
				}
			}
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// present notes which services there are, and at the first look which of them have to be asked.
func (l *Learner) present(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.book.present(names, time.Now())
	if l.pending == nil {
		l.pending = map[string]bool{}
		for _, name := range names {
			if name != l.self {
				l.pending[name] = true
			}
		}
	}
	l.settle()
}

// follow asks each version of a service for its manifest whenever its instances change.
func (l *Learner) follow(ctx context.Context, service string) {
	delays := &backoff.ExponentialBackOff{
		InitialInterval: firstRetry, MaxInterval: lastRetry,
		RandomizationFactor: backoff.DefaultRandomizationFactor, Multiplier: backoff.DefaultMultiplier,
	}
	delays.Reset()
	watch := l.directory.Instances(service)
	known := versions{}
	load := overload.NewService() // another version is no reason to forget it
	var content fault             // of what was answered
	var without []string          // versions that were left out
	for {
		leftOut, leftOutChanged := l.leftOut.of(service)
		instances, seen, changed := watch.Get()
		var retry <-chan time.Time
		if seen {
			news, err := known.update(instances, func(version string) (*kernelv1.GetManifestResponse, error) {
				return l.ask(ctx, service, version)
			})
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				delay := delays.NextBackOff()
				retry = time.After(delay)
				l.note(service, fault{what: fmt.Errorf("cannot get its manifest: %w", err)})
				l.log.WarnContext(ctx, "cannot get the manifest of a service", "peer", service, "retry_in", delay, "error", err)
			} else {
				delays.Reset()
			}
			if news || !slices.Equal(leftOut, without) {
				without = leftOut
				content = l.learn(ctx, service, load, known.without(leftOut))
			}
			if err == nil {
				l.note(service, content)
			}
			l.tried(service)
		}
		select {
		case <-changed:
		case <-leftOutChanged:
		case <-retry:
		case <-ctx.Done():
			return
		}
	}
}

// learn takes what the versions of a service offer. One that makes no sense is passed over and told, and the others are
// taken.
func (l *Learner) learn(ctx context.Context, service string, load *overload.Service, known versions) (wrong fault) {
	var modules []*routes.Module
	for version, v := range known {
		if v.response == nil {
			continue
		}
		module, err := routes.NewModule(service, load, v.response)
		if err != nil {
			wrong = fault{what: fmt.Errorf("the manifest of version %s makes no sense: %w", version, err), refused: true}
			l.log.ErrorContext(ctx, "a service is refused: its manifest makes no sense", "peer", service, "version", version, "error", err)
			continue
		}
		modules = append(modules, module.At(version))
	}
	if len(modules) == 0 {
		return wrong // what it was before stays, as when no instance is there
	}
	merged := routes.Merge(modules)
	if err := merged.Bind(l.check); err != nil {
		l.log.ErrorContext(ctx, "a service cannot be called by REST: its google.api.http annotations make no sense", "peer", service, "error", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.book.offer(merged)
	l.settle()
	return wrong
}

// tried notes that a service has been asked. Nothing is routed before the first look is done, so that of two services in
// conflict the same one is taken by each gateway that starts, and not the one that answered faster.
func (l *Learner) tried(service string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[service] {
		delete(l.pending, service)
		l.settle()
	}
}

// settle makes a new table where something has changed. The caller holds mu.
func (l *Learner) settle() {
	if l.pending == nil || len(l.pending) > 0 {
		return
	}
	refused, changed := l.book.settle(time.Now())
	l.refused = refused
	for _, r := range refused {
		if l.told[r.module] != r.holder {
			l.told[r.module] = r.holder
			l.log.Error("a service is refused: it claims what another one has", "peer", r.module.Service, "claim", r.claim, "holder", r.holder)
		}
	}
	for module := range l.told {
		if !slices.ContainsFunc(refused, func(r refusal) bool { return r.module == module }) {
			delete(l.told, module)
		}
	}
	if changed {
		table := routes.NewTable(l.own, l.book.modules()...)
		for _, tell := range l.listeners {
			tell(table)
		}
		l.table.Store(table)
		l.log.Info("routes have changed", "procedures", table.Procedures(), "services", table.Services())
	}
	select {
	case <-l.looked:
	default:
		close(l.looked)
	}
}
