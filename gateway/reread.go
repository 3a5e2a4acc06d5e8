package gateway

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"ashlar.dev/gateway/internal/filewatch"
	"ashlar.dev/kernel/lifecycle"
)

// remindTime is how often somebody is reminded of what will need him.
const remindTime = 12 * time.Hour

// reread reads something anew when its files change, and on SIGHUP.
type reread struct {
	// what it is, in words.
	what  string
	files []string
	// read reads it, lets it hold, and returns what is different: names. Where it fails, what held before still holds.
	// It is called once at a time.
	read func() (changed []string, err error)
	// remind is called every remindTime; nil: nothing is.
	remind  func(context.Context)
	metrics *rereadMetrics
	log     *slog.Logger

	mu   sync.Mutex // one read at a time
	stop context.CancelFunc
	done sync.WaitGroup
}

// component watches while it runs.
func (r *reread) component(name string) lifecycle.Component {
	return lifecycle.Component{
		Name: name,
		Start: func(ctx context.Context) error {
			r.start(context.WithoutCancel(ctx))
			return nil
		},
		Stop: func(context.Context) error {
			r.stop()
			r.done.Wait()
			return nil
		},
	}
}

func (r *reread) start(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	r.done.Go(func() {
		defer signal.Stop(hangups)
		ticker := time.NewTicker(remindTime)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				r.attempt(ctx)
			case <-ticker.C:
				if r.remind != nil {
					r.remind(ctx)
				}
			}
		}
	})
	if len(r.files) > 0 {
		r.done.Go(func() { filewatch.New(r.log, r.files...).Run(ctx, r.attempt) })
	}
}

// attempt reads, and tells how that went.
func (r *reread) attempt(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, err := r.read()
	switch {
	case err != nil:
		r.log.ErrorContext(ctx, r.what+" was refused; the one before still holds", "error", err)
	case len(changed) > 0:
		r.log.InfoContext(ctx, r.what+" was read anew", "changed", changed)
	}
	r.metrics.note(len(changed) > 0, err)
}
