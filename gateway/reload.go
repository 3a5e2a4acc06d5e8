package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"ashlar.dev/gateway/internal/edge"
	"ashlar.dev/gateway/internal/filewatch"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/telemetry"
)

// Option adds to a gateway.
type Option func(*Gateway)

// WithReload lets the gateway read its configuration anew when a file of it changes, and on SIGHUP. read is the
// configuration as it was read at the start, before anything was made of it.
func WithReload(read Config, again config.Again[Config]) Option {
	return func(g *Gateway) { g.reload = &reload{running: read, again: again} }
}

// reload reads the configuration anew, and lets it hold as a whole or not at all.
type reload struct {
	again     config.Again[Config]
	edge      *edge.Handler
	telemetry *telemetry.Telemetry
	log       *slog.Logger
	metrics   *reloadMetrics

	mu      sync.Mutex
	running Config // what holds

	stop context.CancelFunc
	done sync.WaitGroup
}

// prepare gives it what a configuration is let hold in.
func (r *reload) prepare(handler *edge.Handler, t *telemetry.Telemetry) (err error) {
	r.edge, r.telemetry, r.log = handler, t, t.Log
	r.metrics, err = newReloadMetrics(t.Metrics, "ashlar_gateway_config", "the configuration")
	return err
}

// start begins to watch.
func (r *reload) start(ctx context.Context) error {
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	r.done.Go(func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				r.attempt(ctx)
			}
		}
	})
	if files := r.running.Files(); len(files) > 0 {
		r.done.Go(func() { filewatch.New(r.log, files...).Run(ctx, r.attempt) })
	}
	return nil
}

// end ends watching. It may be called without start.
func (r *reload) end(context.Context) error {
	if r.stop != nil {
		r.stop()
	}
	r.done.Wait()
	return nil
}

// attempt reads the configuration anew, and tells how that went.
func (r *reload) attempt(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, err := r.apply()
	switch {
	case err != nil:
		r.log.ErrorContext(ctx, "the configuration was refused; the one before still holds", "error", err)
	case len(changed) > 0:
		r.log.InfoContext(ctx, "the configuration was read anew", "changed", changed)
	}
	r.metrics.note(len(changed) > 0, err)
}

// apply lets the configuration hold that can be read now, and returns the names of what is different in it.
func (r *reload) apply() (changed []string, err error) {
	for _, file := range r.running.Files() {
		// Whoever writes a file anew may begin by emptying it; without any key it would mean that all is as by default.
		if info, err := os.Stat(file); err == nil && info.Size() == 0 {
			return nil, fmt.Errorf("%s is empty", file)
		}
	}
	next, err := r.again()
	if err != nil {
		return nil, err
	}
	if err := next.validate(); err != nil {
		return nil, err
	}
	differences, err := config.Compare(r.running, next)
	if err != nil {
		return nil, err
	}
	if len(differences.Fixed) > 0 {
		return nil, errors.New("restart to change " + strings.Join(differences.Fixed, ", "))
	}
	if len(differences.Reloadable) > 0 {
		r.edge.Apply(next.settings())
		r.telemetry.SetLogLevel(next.LogLevel)
		r.running = next
	}
	return differences.Reloadable, nil
}
