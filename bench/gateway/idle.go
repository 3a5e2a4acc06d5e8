package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// idleConnections times idleStreams are open at a time.
	idleConnections = 100
	idleStreams     = 100
)

// measureIdle opens many streams on which nothing happens, and shows what they cost in memory: of connect over connections of
// their own and over shared ones, as the gateway does it, and of gRPC.
func (w *world) measureIdle(ctx context.Context) error {
	connections := idleConnections
	if w.command.Short {
		connections = 5
	}
	fmt.Printf("\nidle server streams over h2c, %d connections of %d streams (idle)\n", connections, idleStreams)
	for _, kind := range []string{streamType, grpcType} {
		for _, t := range []target{w.bareH2, w.gateway} {
			before, err := t.process.memory()
			if err != nil {
				return err
			}
			closeAll, err := openIdle(ctx, t.address, w.token, kind, connections)
			if err == nil {
				time.Sleep(2 * time.Second) // for the garbage of the openings
				var after int64
				if after, err = t.process.memory(); err == nil {
					streams := int64(connections * idleStreams)
					fmt.Printf("%20s  %-24s %4d MiB, of which %.1f KiB for each stream\n", t.name, kind, after>>20,
						float64(after-before)/1024/float64(streams))
				}
			}
			closeAll()
			if err != nil {
				return fmt.Errorf("idle, %s: %w", t.name, err)
			}
		}
	}
	return nil
}

// openIdle opens streams and waits for the headers of each.
func openIdle(ctx context.Context, address, token, kind string, connections int) (closeAll func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	errs := make(chan error, connections)
	transports := make([]*http.Transport, connections)
	for i := range connections {
		transports[i] = newTransport(true)
		all.Go(func() {
			for range idleStreams {
				if err := openOne(ctx, transports[i], address, token, kind); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	for each := range errs {
		err = errors.Join(err, each)
	}
	return func() {
		cancel()
		for _, t := range transports {
			t.CloseIdleConnections()
		}
	}, err
}

// openOne opens a stream, which lasts until ctx ends.
func openOne(ctx context.Context, transport *http.Transport, address, token, kind string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+idleProcedure, strings.NewReader(string(envelope(0, []byte("{}")))))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Te", "trailers")
	response, err := transport.RoundTrip(request) //nolint:bodyclose // it ends with ctx
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New("answered " + response.Status)
	}
	return err
}

// idle answers with a message, and no more until the caller goes.
func idle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	_, _ = w.Write(envelope(0, payload))
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// memory is what the process has in memory, in bytes.
func (p *process) memory() (int64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the kernel does not say")
}
