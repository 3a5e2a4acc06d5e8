// Package h2 speaks HTTP/2 without TLS (RFC 9113, with prior knowledge) to instances of services, for calls of which
// many share a connection: streams, and all of gRPC. It is an http.RoundTripper made for passing on: what has arrived
// together is handed on together, requests that begin together leave together, and a stream on which nothing happens
// holds no buffer and no goroutine. It knows neither RPC, nor which instance a call should go to.
package h2

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// dialTimeout is how long an instance may take to accept a connection.
	dialTimeout = time.Second
	// fewStreams is from how many streams on each connection on another connection is made: all of a connection pass
	// one goroutine that reads, and one socket.
	fewStreams = 100
	// maxConns bounds the connections to one instance.
	maxConns = 256
	// maxTries is how often a request is sent that the instance says it has not looked at.
	maxTries = 3
)

// Errors of requests of which the instance has seen nothing, or says so.
var (
	errClosing = errors.New("the connection takes no more requests")
	errRefused = errors.New("the instance refused the stream")
	errBusy    = errors.New("too many streams are open at the instance")
)

// Transport sends requests to addresses. It is safe for concurrent use. Each connection has one goroutine.
type Transport struct {
	dialer net.Dialer
	hosts  sync.Map // address → *host
}

// New returns a transport without connections.
func New() *Transport {
	return &Transport{dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}}
}

// host has the connections to one address.
type host struct {
	transport *Transport
	address   string

	mu      sync.Mutex
	conns   []*conn
	dialing *dialing
	// gone: discovery does not show it any more, or the transport is closed.
	gone bool
}

// dialing is a connection that is being made.
type dialing struct {
	done chan struct{}
	err  error
}

// RoundTrip implements http.RoundTripper. The body of a request of known length that is not large is read before
// anything is sent. A failure to connect is a *net.OpError with Op "dial". The body of the response implements
// io.WriterTo: it writes at once all that has arrived.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body := payload{request: req}
	for try := 1; ; try++ {
		c, err := t.acquire(req.Context(), req.URL.Host)
		if err != nil {
			body.close()
			return nil, err
		}
		if err := body.load(); err != nil {
			c.unreserve()
			body.close()
			return nil, err
		}
		s, err := c.start(req, &body)
		if err == nil {
			var response *http.Response
			if response, err = s.await(); err == nil {
				body.close()
				return response, nil
			}
		}
		unseen := errors.Is(err, errClosing) || errors.Is(err, errRefused)
		if !unseen || !body.again() || try == maxTries || req.Context().Err() != nil {
			body.close()
			return nil, err
		}
	}
}

// Forget lets the connections to an address take no more requests: its instance is gone, or about to be.
func (t *Transport) Forget(address string) {
	if h, ok := t.hosts.LoadAndDelete(address); ok {
		h, _ := h.(*host) // nothing else is stored
		h.leave()
	}
}

// CloseIdleConnections lets no connection take another request. Those that nothing is under way on are closed at once,
// the others when nothing is any more.
func (t *Transport) CloseIdleConnections() {
	t.hosts.Range(func(address, _ any) bool {
		if address, ok := address.(string); ok {
			t.Forget(address)
		}
		return true
	})
}

func (t *Transport) host(address string) *host {
	known, found := t.hosts.Load(address)
	if !found {
		known, _ = t.hosts.LoadOrStore(address, &host{transport: t, address: address})
	}
	h, _ := known.(*host) // nothing else is stored
	return h
}

// acquire returns a connection on which there is room for one more stream, reserved for the caller.
func (t *Transport) acquire(ctx context.Context, address string) (*conn, error) {
	for {
		h := t.host(address)
		c, d, err := h.pick() //nolint:contextcheck // a connection is made for all who wait
		if c != nil || err != nil {
			return c, err
		}
		if d == nil { // forgotten meanwhile
			continue
		}
		select {
		case <-d.done:
			if d.err != nil {
				return nil, d.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// pick returns the connection with the fewest streams; where there is none with room, what to wait for. Where all have
// many, another one is made meanwhile.
func (h *host) pick() (*conn, *dialing, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return nil, nil, nil
	}
	var best *conn
	for _, c := range h.conns {
		if c.room() && (best == nil || c.active.Load() < best.active.Load()) {
			best = c
		}
	}
	if best != nil && best.active.Load() < fewStreams && best.reserve() {
		return best, nil, nil
	}
	if h.dialing == nil && len(h.conns) < maxConns {
		h.dialing = &dialing{done: make(chan struct{})}
		go h.dial(h.dialing)
	}
	if best != nil && best.reserve() {
		return best, nil, nil
	}
	if h.dialing == nil {
		return nil, nil, errBusy
	}
	return nil, h.dialing, nil
}

// dial makes one more connection. It does so for all who wait, so that the end of one call does not end it.
func (h *host) dial(d *dialing) {
	inner, err := h.transport.dialer.DialContext(context.Background(), "tcp", h.address)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialing, d.err = nil, err
	close(d.done)
	if err != nil {
		return
	}
	if h.gone {
		_ = inner.Close()
		return
	}
	c := newConn(inner, h)
	h.conns = append(h.conns, c)
	c.open()
}

// leave lets no connection take more.
func (h *host) leave() {
	h.mu.Lock()
	h.gone = true
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	for _, c := range conns {
		c.drain()
	}
}

// remove forgets a connection that takes no more.
func (h *host) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, each := range h.conns {
		if each == c {
			last := len(h.conns) - 1
			h.conns[i], h.conns[last] = h.conns[last], nil
			h.conns = h.conns[:last]
			return
		}
	}
}
