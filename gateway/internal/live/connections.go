// Package live knows which connections and streams are open at the moment, for operators. Opening and closing takes no lock
// that others wait for, and looking keeps nobody from either.
package live

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Registry holds what is open. Its zero value is ready for use, and it is safe for concurrent use.
type Registry struct {
	next        atomic.Uint64
	connections sync.Map // id → *connection
	streams     sync.Map // id → *Stream
}

// connection is a net.Conn that is counted.
type connection struct {
	net.Conn

	registry  *Registry
	id        uint64
	since     time.Time
	h2        atomic.Bool
	tls       atomic.Bool
	active    atomic.Bool
	changed   atomic.Int64 // Unix nanoseconds
	got, sent atomic.Int64
}

// Listener returns a listener whose connections are in the registry until they are closed. Its server has to have ConnState
// as its hook of that name.
func (r *Registry) Listener(inner net.Listener) net.Listener { return &listener{inner, r} }

type listener struct {
	net.Listener

	registry *Registry
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: inner, registry: l.registry, id: l.registry.next.Add(1), since: time.Now()}
	c.changed.Store(c.since.UnixNano())
	l.registry.connections.Store(c.id, c)
	return c, nil
}

// h2Preface is how a connection of HTTP/2 without TLS begins (RFC 9113, section 3.4).
var h2Preface = []byte("PRI * HTTP/2")

// Read implements net.Conn.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.got.Add(int64(n)) == int64(n) && bytes.HasPrefix(p[:n], h2Preface) {
		c.h2.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *connection) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.registry.connections.Delete(c.id)
	return c.Conn.Close()
}

// CloseWrite is what an http.Server looks for, which ends its half before it closes a connection that may still be written to.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ConnState notes what an http.Server says of its connections.
func (*Registry) ConnState(conn net.Conn, state http.ConnState) {
	encrypted, ok := conn.(*tls.Conn)
	if ok {
		conn = encrypted.NetConn()
	}
	c, known := conn.(*connection)
	if !known {
		return
	}
	if ok && state == http.StateActive && !c.tls.Swap(true) {
		c.h2.Store(encrypted.ConnectionState().NegotiatedProtocol == "h2")
	}
	if active := state == http.StateActive; c.active.Swap(active) != active {
		c.changed.Store(time.Now().UnixNano())
	}
}

// Connection is an open connection. Names in JSON stay.
type Connection struct {
	ID uint64 `json:"id"`
	// Client is the other end: address and port.
	Client string    `json:"client"`
	HTTP   string    `json:"http"` // 1.1 or 2
	TLS    bool      `json:"tls"`
	Since  time.Time `json:"since"`
	// State is active while a request is under way, or idle; StateSince is when that began.
	State      string    `json:"state"`
	StateSince time.Time `json:"stateSince"`
	// ReceivedBytes and SentBytes are what passed, encrypted where it is.
	ReceivedBytes int64 `json:"receivedBytes"`
	SentBytes     int64 `json:"sentBytes"`
}

func (c *connection) snapshot() Connection {
	out := Connection{
		ID: c.id, Client: c.RemoteAddr().String(), HTTP: "1.1", TLS: c.tls.Load(), Since: c.since.UTC(), State: "idle",
		StateSince: time.Unix(0, c.changed.Load()).UTC(), ReceivedBytes: c.got.Load(), SentBytes: c.sent.Load(),
	}
	if c.h2.Load() {
		out.HTTP = "2"
	}
	if c.active.Load() {
		out.State = "active"
	}
	return out
}
