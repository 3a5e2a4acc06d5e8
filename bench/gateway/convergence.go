package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/freeport"
	"ashlar.dev/kernel/workload"
)

const (
	// manyCallers call side by side, each so often, while instances come and go.
	manyCallers = 16
	callEvery   = 10 * time.Millisecond
	// restBetween is the least time between two rounds; up to as much again is added, so that rounds keep no step with
	// anything.
	restBetween = 200 * time.Millisecond
)

// convergenceCommand measures how soon the gateway goes by what has changed.
type convergenceCommand struct {
	Gateway string `help:"The gateway's program." required:"" type:"existingfile"`
	Consul  string `help:"Consul's program." required:"" type:"existingfile"`
	Rounds  int    `help:"How often each thing happens." default:"100"`
	Profile string `help:"Folder for the logs of the processes; a temporary one where not set." type:"path"`
}

// Run starts Consul and a gateway, lets instances come and go, and prints how long it took.
func (c convergenceCommand) Run(ctx context.Context) error {
	w, end, err := newWorld(runCommand{Profile: c.Profile, Gateway: c.Gateway, Consul: c.Consul})
	if err != nil {
		return err
	}
	defer end()
	keyFile := filepath.Join(w.folder, clusterKeyFile)
	if err := workload.CreateClusterKey(keyFile); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	key, err := workload.ReadClusterKey(keyFile)
	if err != nil {
		return err
	}
	address, err := w.startConsul(ctx)
	if err != nil {
		return err
	}
	if w.gateway.address, err = freeport.ChooseAddress(ctx); err != nil {
		return err
	}
	if _, err = w.launch("gateway", gatewayEnvironment(w.gateway.address, keyFile, address), c.Gateway); err != nil {
		return err
	}
	registry, err := consul.New(consul.Config{Address: address, Platform: key.Fingerprint()}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }()

	v := &convergence{registry: registry, url: "http://" + w.gateway.address, rounds: c.Rounds}
	fmt.Printf("%-58s %7s %9s %9s %9s\n", "", "rounds", "median", "p99", "slowest")
	for _, s := range []struct {
		what    string
		measure func(context.Context) (measured, error)
	}{
		{"a new service: registration to first request", v.services},
		{"a new instance: registration to first request", v.instances},
		{"a killed instance: first failure to last call that meets it", v.killed},
	} {
		m, err := s.measure(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		ms := func(q float64) float64 { return float64(m.quantile(q).Microseconds()) / 1000 }
		fmt.Printf("%-58s %7d %6.1f ms %6.1f ms %6.1f ms\n", s.what, len(m.waits), ms(0.5), ms(0.99), ms(1))
		if m.requests > 0 {
			fmt.Printf("  %d calls, %d failed\n", m.requests, m.failed)
		}
	}
	return nil
}

// convergence is what is under measurement.
type convergence struct {
	registry *consul.Registry
	url      string
	rounds   int
	made     int
}

// each does something as often as there are rounds, at times that keep no step with anything.
func (v *convergence) each(ctx context.Context, do func(ctx context.Context) (time.Duration, error)) (measured, error) {
	var m measured
	for range v.rounds {
		select {
		case <-time.After(restBetween + rand.N(restBetween)): //nolint:gosec // keeps no secret
		case <-ctx.Done():
			return m, ctx.Err()
		}
		round, cancel := context.WithTimeout(ctx, patience)
		took, err := do(round)
		cancel()
		if err != nil {
			return m, err
		}
		m.waits = append(m.waits, took)
	}
	return m, nil
}

// services measures services that nobody has heard of before.
func (v *convergence) services(ctx context.Context) (measured, error) {
	return v.each(ctx, func(ctx context.Context) (time.Duration, error) {
		v.made++
		m, procedure := publicService(v.made)
		calling, stop := context.WithCancel(ctx)
		defer stop()
		var caller sync.WaitGroup
		defer caller.Wait()
		caller.Go(func() {
			for calling.Err() == nil && post(calling, http.DefaultClient, v.url+procedure) != nil {
				pauseFor(calling, time.Millisecond)
			}
		})
		defer stop()
		began := time.Now()
		i, err := join(ctx, v.registry, m, procedure, m.name+"-1")
		if err != nil {
			return 0, err
		}
		took, err := i.awaitFirst(ctx, began)
		return took, errors.Join(err, i.leave(ctx))
	})
}

// instances measures another instance of a service that is under load.
func (v *convergence) instances(ctx context.Context) (measured, error) {
	v.made++
	service, procedure := publicService(v.made)
	stay, err := join(ctx, v.registry, service, procedure, service.name+"-0")
	if err != nil {
		return measured{}, err
	}
	callers, err := v.call(ctx, procedure)
	if err != nil {
		return measured{}, err
	}
	n := 0
	m, err := v.each(ctx, func(ctx context.Context) (time.Duration, error) {
		n++
		began := time.Now()
		i, err := join(ctx, v.registry, service, procedure, fmt.Sprintf("%s-%d", service.name, n))
		if err != nil {
			return 0, err
		}
		took, err := i.awaitFirst(ctx, began)
		if err == nil {
			err = v.registry.Deregister(ctx, i.id)
		}
		pauseFor(ctx, restBetween) // as the drain of a service
		i.kill()
		return took, err
	})
	m.requests, m.failed = callers.end()
	return m, errors.Join(err, stay.leave(ctx))
}

// killed measures how long calls go on to meet an instance that was killed, of three, after one of them has failed. It has no
// check that could find that out; calls may have effects, so none of them is repeated.
func (v *convergence) killed(ctx context.Context) (measured, error) {
	v.made++
	service, procedure := publicService(v.made)
	var all []*member
	n := 0
	add := func(ctx context.Context) error {
		n++
		i, err := join(ctx, v.registry, service, procedure, fmt.Sprintf("%s-%d", service.name, n))
		if err == nil {
			all = append(all, i)
		}
		return err
	}
	for range 3 {
		if err := add(ctx); err != nil {
			return measured{}, err
		}
	}
	callers, err := v.call(ctx, procedure)
	if err != nil {
		return measured{}, err
	}
	m, err := v.each(ctx, func(ctx context.Context) (time.Duration, error) {
		victim := all[0]
		all = all[1:]
		for _, i := range append([]*member{victim}, all...) {
			if _, err := i.awaitFirst(ctx, time.Now()); err != nil {
				return 0, err
			}
		}
		callers.forget()
		victim.kill()
		pauseFor(ctx, 2*restBetween)
		took := callers.afterFirst()
		return took, errors.Join(v.registry.Deregister(ctx, victim.id), add(ctx))
	})
	m.requests, m.failed = callers.end()
	for _, i := range all {
		err = errors.Join(err, i.leave(ctx))
	}
	return m, err
}

// awaitFirst waits for the first request, and returns how long after began it came.
func (m *member) awaitFirst(ctx context.Context, began time.Time) (time.Duration, error) {
	select {
	case <-m.asked:
		return time.Since(began), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("no request comes to %s: %w", m.id, ctx.Err())
	}
}

// callers call a procedure until they are stopped.
type callers struct {
	made   atomic.Int64
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu       sync.Mutex
	failures []failure // since the last forget
	failed   int
}

// failure is a call that failed.
type failure struct{ began, ended time.Time }

// call lets callers call a service once it can be called.
func (v *convergence) call(ctx context.Context, procedure string) (*callers, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manyCallers}}
	if err := eventually(ctx, "the service can be called", func() error { return post(ctx, client, v.url+procedure) }); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &callers{cancel: cancel}
	for range manyCallers {
		c.all.Go(func() {
			for ctx.Err() == nil {
				pauseFor(ctx, callEvery/2+rand.N(callEvery)) //nolint:gosec // keeps no secret
				began := time.Now()
				err := post(ctx, client, v.url+procedure)
				if ctx.Err() != nil {
					return
				}
				c.made.Add(1)
				if err != nil {
					c.mu.Lock()
					c.failed++
					c.failures = append(c.failures, failure{began, time.Now()})
					c.mu.Unlock()
				}
			}
		})
	}
	return c, nil
}

// forget makes failures count from now on.
func (c *callers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = nil
}

// afterFirst is how long after the first failure the last call was begun that failed; 0 where none was.
func (c *callers) afterFirst() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first, last time.Time
	for _, f := range c.failures {
		if first.IsZero() || f.ended.Before(first) {
			first = f.ended
		}
		if f.began.After(last) {
			last = f.began
		}
	}
	return max(0, last.Sub(first))
}

func (c *callers) end() (made, failed int) {
	c.cancel()
	c.all.Wait()
	return int(c.made.Load()), c.failed
}

// post sends one call, which has to succeed.
func post(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", jsonType)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err = io.Copy(io.Discard, response.Body); err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return err
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
