// Package upstream speaks HTTP/1.1 to instances of services, for requests and answers of one message: each call has a
// connection to itself and reads and writes it on its own goroutine. A connection is used again only if its state is
// certain. It knows neither RPC, nor which instance a call should go to.
package upstream

import (
	"context"
	"net"
	"sync"
	"time"

	"ashlar.dev/gateway/internal/keepalive"
)

const (
	// dialTimeout is how long an instance may take to accept a connection.
	dialTimeout = time.Second
	// goneTime is how long a connection may outlive the machine at its other end.
	goneTime = 8 * time.Second
	// idleTimeout is how long a connection is kept that nobody uses: less than services keep it, so that it is this side
	// that ends it, and no request meets a connection that is being closed.
	idleTimeout = 45 * time.Second
	// maxIdle bounds the connections to one instance that are kept.
	maxIdle = 1024
)

// Pool keeps connections to instances. It is safe for concurrent use.
type Pool struct {
	dialer net.Dialer

	mu      sync.Mutex
	hosts   map[string]*host
	sweeper *time.Timer // runs while anything is kept
	closed  bool
}

// host has the connections to one address that nobody uses; the one that was used last is taken first.
type host struct {
	mu   sync.Mutex
	idle []*Conn
	// gone: discovery does not show it any more.
	gone bool
}

// NewPool returns an empty pool. It has no goroutines.
func NewPool() *Pool {
	return &Pool{hosts: map[string]*host{}, dialer: net.Dialer{
		Timeout: dialTimeout, KeepAliveConfig: keepalive.Config(goneTime), Control: keepalive.Control(goneTime),
	}}
}

// Get returns a connection that nothing is under way on. It fails only where a new one cannot be dialed; a dial ends
// with ctx, or at the deadline, of which the zero value is none. The caller gives it back with Conn.Release.
func (p *Pool) Get(ctx context.Context, address string, deadline time.Time) (*Conn, error) {
	h := p.host(address)
	for {
		c := h.take()
		if c == nil {
			break
		}
		// What is left of the deadline of the call before must not end this one.
		if c.net.SetDeadline(deadline) == nil && c.quiet() {
			c.reused = true
			return c, nil
		}
		c.close()
	}
	return p.Dial(ctx, address, deadline)
}

// Dial is Get with a connection that is new.
func (p *Pool) Dial(ctx context.Context, address string, deadline time.Time) (*Conn, error) {
	if !deadline.IsZero() {
		bounded, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		ctx = bounded
	}
	inner, err := p.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := newConn(inner, p.host(address), p)
	if err := inner.SetDeadline(deadline); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// Forget closes what is kept for an address, and what comes back: its instance takes no new requests.
func (p *Pool) Forget(address string) {
	p.mu.Lock()
	h := p.hosts[address]
	delete(p.hosts, address)
	p.mu.Unlock()
	if h != nil {
		h.drop(func(*Conn) bool { return true }, true)
	}
}

// Close closes what is kept, and what comes back.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	hosts := p.hosts
	p.hosts = map[string]*host{}
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	p.mu.Unlock()
	for _, h := range hosts {
		h.drop(func(*Conn) bool { return true }, true)
	}
}

func (p *Pool) host(address string) *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[address]
	if h == nil {
		h = &host{gone: p.closed}
		p.hosts[address] = h
		if p.sweeper == nil && !p.closed {
			p.sweeper = time.AfterFunc(idleTimeout/2, p.sweep)
		}
	}
	return h
}

// sweep closes what has been idle for long.
func (p *Pool) sweep() {
	p.mu.Lock()
	hosts := make([]*host, 0, len(p.hosts))
	for _, h := range p.hosts {
		hosts = append(hosts, h)
	}
	p.mu.Unlock()
	latest := time.Now().Add(-idleTimeout)
	for _, h := range hosts {
		h.drop(func(c *Conn) bool { return c.since.Before(latest) }, false)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.sweeper.Reset(idleTimeout / 2)
	}
}

func (h *host) take() *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.idle) - 1
	if last < 0 {
		return nil
	}
	c := h.idle[last]
	h.idle[last] = nil
	h.idle = h.idle[:last]
	return c
}

// keep takes a connection back, and reports whether it does.
func (h *host) keep(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone || len(h.idle) == maxIdle {
		return false
	}
	c.since = time.Now()
	h.idle = append(h.idle, c)
	return true
}

// drop closes those that are kept and match.
func (h *host) drop(match func(*Conn) bool, gone bool) {
	h.mu.Lock()
	h.gone = h.gone || gone
	var kept, closing []*Conn
	for _, c := range h.idle {
		if match(c) {
			closing = append(closing, c)
		} else {
			kept = append(kept, c)
		}
	}
	h.idle = kept
	h.mu.Unlock()
	for _, c := range closing {
		c.close()
	}
}
