package local

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible returns a context that ends with the first SIGINT, SIGTERM or SIGHUP, and a channel that is closed with
// the second. While it is in force a closed pipe on standard output (`up | head`) ends nothing.
func interruptible(ctx context.Context) (_ context.Context, hurry <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	wanted := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		wanted = append(wanted, syscall.SIGHUP)
	}
	signal.Notify(signals, wanted...)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // not Ignore, which children would inherit

	second := make(chan struct{})
	ended := make(chan struct{})
	left := make(chan struct{})
	go func() {
		defer close(left)
		select {
		case <-signals:
			cancel()
		case <-ended:
			return
		}
		select {
		case <-signals:
			close(second)
		case <-ended:
		}
	}()
	return ctx, second, func() {
		signal.Stop(signals)
		signal.Stop(pipes)
		close(ended)
		<-left
		cancel()
	}
}
