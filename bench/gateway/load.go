package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	jsonType   = "application/json"
	grpcType   = "application/grpc"
	streamType = "application/connect+json"
)

// payload is a message in JSON of 100 bytes.
var payload = []byte(`{"text":"` + strings.Repeat("x", 89) + `"}`)

// measured is what one round of load found.
type measured struct {
	requests int
	failed   int
	// failure is the first one.
	failure error
	took    time.Duration
	// waits is how long each request took.
	waits []time.Duration
}

// perSecond is the throughput.
func (m measured) perSecond() float64 { return float64(m.requests) / m.took.Seconds() }

// quantile returns how long all but the slowest requests took at most.
func (m measured) quantile(q float64) time.Duration {
	if len(m.waits) == 0 {
		return 0
	}
	slices.Sort(m.waits)
	return m.waits[min(int(q*float64(len(m.waits))), len(m.waits)-1)]
}

// worker sends one request after the other.
type worker interface {
	// call sends one request and reads its answer.
	call(ctx context.Context) error
	close()
}

// drive runs workers side by side for a time and adds up what they found.
func drive(ctx context.Context, d time.Duration, workers []worker) measured {
	var all sync.WaitGroup
	var ended atomic.Bool
	parts := make([]measured, len(workers))
	began := time.Now()
	timer := time.AfterFunc(d, func() { ended.Store(true) })
	defer timer.Stop()
	for i, w := range workers {
		all.Go(func() {
			part := &parts[i]
			for !ended.Load() && ctx.Err() == nil && part.failed < 100 {
				start := time.Now()
				if err := w.call(ctx); err != nil {
					part.failed++
					part.failure = cmp.Or(part.failure, err)
					continue
				}
				part.requests++
				part.waits = append(part.waits, time.Since(start))
			}
		})
	}
	all.Wait()
	sum := measured{took: time.Since(began)}
	for _, part := range parts {
		sum.requests += part.requests
		sum.failed += part.failed
		if sum.failure == nil {
			sum.failure = part.failure
		}
		sum.waits = append(sum.waits, part.waits...)
	}
	return sum
}

// lean sends the same bytes over one connection of HTTP/1.1 again and again, so that load costs as little as can be.
type lean struct {
	connection net.Conn
	reader     *bufio.Reader
	request    []byte
}

func newLean(ctx context.Context, address, token string) (worker, error) {
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	request := "POST " + echoProcedure + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: bench\r\nContent-Type: " + jsonType +
		"\r\nConnect-Protocol-Version: 1\r\nAccept-Encoding: identity\r\nAuthorization: Bearer " + token +
		"\r\nContent-Length: " + strconv.Itoa(len(payload)) + "\r\n\r\n" + string(payload)
	return &lean{connection: connection, reader: bufio.NewReader(connection), request: []byte(request)}, nil
}

func (l *lean) close() { _ = l.connection.Close() }

func (l *lean) call(context.Context) error {
	if err := l.connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := l.connection.Write(l.request); err != nil {
		return err
	}
	line, err := l.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "HTTP/1.1 200 ") {
		return fmt.Errorf("answered %q", line)
	}
	length := -1
	for {
		if line, err = l.reader.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, _ := strings.Cut(string(line), ":"); strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return err
			}
		}
	}
	if length != len(payload) {
		return fmt.Errorf("answered with %d bytes", length)
	}
	_, err = l.reader.Discard(length)
	return err
}

// client sends calls over HTTP/2 without TLS, or HTTP/1.1.
type client struct {
	transport *http.Transport
	owner     bool
	url       string
	token     string
	kind      string
	body      []byte
	want      int64
}

func newTransport(h2 bool) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Transport{Protocols: &protocols, DisableCompression: true}
}

func (c *client) close() {
	if c.owner {
		c.transport.CloseIdleConnections()
	}
}

func (c *client) call(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(string(c.body)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", c.kind)
	request.Header.Set("Authorization", "Bearer "+c.token)
	if c.kind == grpcType {
		request.Header.Set("Te", "trailers")
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	n, err := io.Copy(io.Discard, response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK || n != c.want:
		return fmt.Errorf("answered %s with %d bytes", response.Status, n)
	case c.kind == grpcType && response.Trailer.Get("Grpc-Status") != "0":
		return fmt.Errorf("grpc-status %q", response.Trailer.Get("Grpc-Status"))
	}
	return nil
}

// Where the machine keeps many connections apart, so does the load: each connection of HTTP/2 has a transport of its own.
func newGRPC(address, token string, connections, streams int) []worker {
	message := envelope(0, payload)
	var out []worker
	for range connections {
		transport := newTransport(true)
		for i := range streams {
			out = append(out, &client{
				transport: transport, owner: i == 0, url: "http://" + address + echoProcedure, token: token,
				kind: grpcType, body: message, want: int64(len(message)),
			})
		}
	}
	return out
}

func newStream(address, token, kind string) worker {
	message := envelope(0, payload)
	want := streamMessages * len(message)
	if kind == streamType {
		want += len(envelope(2, []byte("{}")))
	}
	return &client{
		transport: newTransport(true), owner: true, url: "http://" + address + streamProcedure, token: token, kind: kind,
		body: envelope(0, []byte("{}")), want: int64(want),
	}
}
