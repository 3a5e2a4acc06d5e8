package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// scenario is one kind of load, and on whom it is laid: the first target is the one that ratios are of.
type scenario struct {
	name    string
	about   string
	targets []target
	workers func(ctx context.Context, t target) ([]worker, error)
}

func (w *world) scenarios() []scenario {
	posts := func(connections int) func(context.Context, target) ([]worker, error) {
		return func(ctx context.Context, t target) ([]worker, error) {
			var out []worker
			for range connections {
				one, err := newLean(ctx, t.address, w.tokenOf(t))
				if err != nil {
					return out, err
				}
				out = append(out, one)
			}
			return out, nil
		}
	}
	h1 := append([]target{w.bare, w.gateway}, targetsFor(w.others, func(p peer) bool { return !p.h2 })...)
	h2 := append([]target{w.bareH2, w.gateway}, targetsFor(w.others, func(p peer) bool { return p.h2 })...)
	return []scenario{
		{"post-32", "POST of 100 bytes of JSON, HTTP/1.1, 32 connections", append(h1, w.backend), posts(32)},
		{"post-256", "POST of 100 bytes of JSON, HTTP/1.1, 256 connections", append(h1, w.backend), posts(256)},
		{"grpc", "gRPC over h2c, 32 connections of 8 streams", append(h2, w.backend), func(_ context.Context, t target) ([]worker, error) {
			return newGRPC(t.address, w.token, 32, 8), nil
		}},
		{"stream", fmt.Sprintf("Connect server stream of %d messages over h2c, 4 connections", streamMessages), []target{w.bareH2, w.gateway, w.backend}, func(_ context.Context, t target) ([]worker, error) {
			var out []worker
			for range 4 {
				out = append(out, newStream(t.address, w.token, streamType))
			}
			return out, nil
		}},
		{"grpc-stream", fmt.Sprintf("gRPC server stream of %d messages over h2c, 4 connections", streamMessages), []target{w.bareH2, w.gateway, w.backend}, func(_ context.Context, t target) ([]worker, error) {
			var out []worker
			for range 4 {
				out = append(out, newStream(t.address, w.token, grpcType))
			}
			return out, nil
		}},
		{"routes", "POST of 100 bytes of JSON, HTTP/1.1, 32 connections, to a gateway with few routes and one with many", []target{w.gateway, w.manyRoutes}, posts(32)},
	}
}

// figures are those of one target in one scenario, a value for each round.
type figures struct {
	cpu, all, rate, p50, p99 []float64
}

// measure runs the rounds and prints.
func (w *world) measure(ctx context.Context) error {
	for _, s := range w.scenarios() {
		if only := w.command.Only; len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		all := make([]figures, len(s.targets))
		for round := range w.command.Rounds + 1 {
			for n := range s.targets {
				i := (n + round) % len(s.targets) // whoever comes after another one does not always
				t := s.targets[i]
				f, err := w.load(ctx, s, t)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, t.name, err)
				}
				if round > 0 || w.command.Short { // the first warms up
					all[i].cpu = append(all[i].cpu, f.cpu...)
					all[i].all = append(all[i].all, f.all...)
					all[i].rate = append(all[i].rate, f.rate...)
					all[i].p50 = append(all[i].p50, f.p50...)
					all[i].p99 = append(all[i].p99, f.p99...)
				}
			}
		}
		if err := show(s, all); err != nil {
			return err
		}
		w.showChecks(s, all)
	}
	if only := w.command.Only; len(only) == 0 || slices.Contains(only, "idle") {
		if err := w.measureIdle(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("\n%d processors, %s, load %s\n", runtime.NumCPU(), runtime.Version(), loadAverage())
	return nil
}

// load lays the load of a scenario on a target once.
func (w *world) load(ctx context.Context, s scenario, t target) (figures, error) {
	workers, err := s.workers(ctx, t)
	defer func() {
		for _, each := range workers {
			each.close()
		}
	}()
	if err != nil {
		return figures{}, err
	}
	before, err := t.process.cpu()
	if err != nil {
		return figures{}, err
	}
	othersBefore, err := w.othersCPU(t)
	if err != nil {
		return figures{}, err
	}
	m := drive(ctx, w.command.Time, workers)
	othersAfter, err := w.othersCPU(t)
	if err != nil {
		return figures{}, err
	}
	after, err := t.process.cpu()
	switch {
	case err != nil:
		return figures{}, err
	case ctx.Err() != nil:
		return figures{}, ctx.Err()
	case m.failed > 0:
		return figures{}, fmt.Errorf("%d of %d requests failed: %w", m.failed, m.failed+m.requests, m.failure)
	case m.requests == 0:
		return figures{}, errors.New("no request was answered")
	}
	each := func(d time.Duration) []float64 { return []float64{d.Seconds() / float64(m.requests) * 10_000} }
	return figures{
		cpu: each(after - before), all: each(after - before + othersAfter - othersBefore), rate: []float64{m.perSecond()},
		p50: []float64{ms(m.quantile(.5))}, p99: []float64{ms(m.quantile(.99))},
	}, nil
}

// othersCPU is the time that the load itself has had, and the backend where it is not the target.
func (w *world) othersCPU(t target) (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	total := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if t.process == w.backend.process {
		return total, nil
	}
	backend, err := w.backend.process.cpu()
	return total + backend, err
}

func show(s scenario, all []figures) error {
	fmt.Printf("\n%s (%s)\n", s.about, s.name)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(out, "\tCPU s/10,000\tratio\tof all\tratio\trequests/s\tratio\tp50 ms\tp99 ms\tratio\t")
	base := all[0]
	for i, t := range s.targets {
		f := all[i]
		name := t.name
		cpu, ratio := fmt.Sprintf("%.2f", median(f.cpu)), fmt.Sprintf("%.2f", median(f.cpu)/median(base.cpu))
		if strings.HasPrefix(name, "no proxy") {
			cpu, ratio = "", "" // that is the backend's own work
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", name, cpu, ratio,
			median(f.all), median(f.all)/median(base.all), median(f.rate), median(f.rate)/median(base.rate), median(f.p50), median(f.p99), median(f.p99)/median(base.p99))
	}
	return out.Flush()
}

// showChecks prints what the gateway costs of what peers cost that check the same.
func (w *world) showChecks(s scenario, all []figures) {
	gateway := slices.IndexFunc(s.targets, func(t target) bool { return t.process == w.gateway.process })
	for i, t := range s.targets {
		if t.checks {
			fmt.Printf("CPU of gateway / %s: %.2f\n", t.name, median(all[gateway].cpu)/median(all[i].cpu))
		}
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(data))
}
