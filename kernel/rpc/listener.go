package rpc

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// h2Preface is how a connection of HTTP/2 without TLS begins (RFC 9113, section 3.4).
	h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// batchBytes is how much is read at once. Larger reads are not held up by it.
	batchBytes = 4 << 10
	// maxUnsent is how much may wait to be written before those who write have to wait.
	maxUnsent = 64 << 10
	// closeTime is how long a write may take from when on the connection is to be closed.
	closeTime = time.Second
)

// NewListener returns a listener for an HTTP server whose connections of h2c read and write many frames at once. net/http
// reads each frame by two system calls, and writes each by one while everybody else on the connection waits: that is most
// of what a small call costs there. Connections that begin with anything but HTTP/2's preface stay as they are.
//
// Write to one of h2c returns once it has noted what is to be sent, and that leaves as soon as it can: a failure ends the
// connection, and the next Write has it. One whose other end takes nothing for 30 s is closed, whatever SetWriteDeadline says.
func NewListener(inner net.Listener) net.Listener { return batching{inner} }

type batching struct{ net.Listener }

// Accept implements net.Listener.
func (l batching) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &batchedConn{Conn: inner}
	c.changed.L = &c.mu
	return c, nil
}

// batchedConn is a connection that may turn out to be one of h2c.
type batchedConn struct {
	net.Conn

	// matched is how much of the preface has come, other that it is not one. They belong to who reads, and so does in,
	// which has what was read and not yet asked for.
	matched int
	other   bool
	h2      atomic.Bool
	in      []byte
	read    []byte // all of in's memory

	mu       sync.Mutex
	changed  sync.Cond // there is room in out, or nothing is written any more
	out      *[]byte   // what waits to be written
	writing  bool      // a goroutine is at it
	began    time.Time // when the write under way began
	stopping bool      // nothing more is taken
	err      error
}

var batches = sync.Pool{New: func() any { return new([]byte) }}

// Read implements net.Conn.
func (c *batchedConn) Read(p []byte) (int, error) {
	if !c.h2.Load() {
		n, err := c.Conn.Read(p)
		if !c.other {
			c.match(p[:n])
		}
		return n, err
	}
	if len(c.in) == 0 {
		if len(p) >= batchBytes {
			return c.Conn.Read(p)
		}
		if c.read == nil {
			c.read = make([]byte, batchBytes)
		}
		n, err := c.Conn.Read(c.read)
		if n == 0 {
			return 0, err
		}
		c.in = c.read[:n] // where there is an error, too, the next Read finds it again
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

// match looks whether the connection begins as one of HTTP/2 does.
func (c *batchedConn) match(p []byte) {
	for _, b := range p {
		if b != h2Preface[c.matched] {
			c.other = true
			return
		}
		if c.matched++; c.matched == len(h2Preface) {
			c.h2.Store(true)
			return
		}
	}
}

// Write implements net.Conn.
func (c *batchedConn) Write(p []byte) (int, error) {
	if !c.h2.Load() {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out != nil && len(*c.out) >= maxUnsent && c.err == nil && !c.stopping {
		c.changed.Wait()
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case c.stopping:
		return 0, net.ErrClosed
	case c.out == nil:
		c.out, _ = batches.Get().(*[]byte) // nothing else is in there
	}
	*c.out = append(*c.out, p...)
	if !c.writing {
		c.writing = true
		go c.flush()
	}
	return len(p), nil
}

// flush writes until nothing is left: what is added meanwhile leaves with the next write. Those who are about to write go
// first, where there is much to do; where there is not, that takes no time.
func (c *batchedConn) flush() {
	runtime.Gosched()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out != nil && c.err == nil {
		out := c.out
		c.out = nil
		err := c.send(*out)
		if cap(*out) <= 2*maxUnsent {
			*out = (*out)[:0]
			batches.Put(out)
		}
		if err != nil {
			c.err = err
			_ = c.Conn.Close() // so that whoever reads does not wait
		}
		c.changed.Broadcast()
	}
	c.writing = false
	c.changed.Broadcast()
}

// send writes p. mu is held, and free meanwhile.
func (c *batchedConn) send(p []byte) error {
	for {
		c.began = time.Now()
		most := stalledTimeout
		if c.stopping {
			most = closeTime
		}
		if err := c.Conn.SetWriteDeadline(c.began.Add(most)); err != nil {
			return err
		}
		c.mu.Unlock()
		n, err := c.Conn.Write(p)
		c.mu.Lock()
		if p = p[n:]; n == 0 || c.stopping || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// Close implements net.Conn. What has been written leaves first, if the other end takes it.
func (c *batchedConn) Close() error {
	c.mu.Lock()
	c.stopping = true
	c.changed.Broadcast()
	if c.writing && c.err == nil {
		_ = c.Conn.SetWriteDeadline(c.began.Add(closeTime)) // where it cannot be set, the connection is broken
	}
	for c.writing {
		c.changed.Wait()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite is what net/http looks for in order to end a connection of HTTP/1.1 that has an answer under way.
func (c *batchedConn) CloseWrite() error {
	if inner, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return inner.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetDeadline implements net.Conn.
func (c *batchedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.Conn.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetWriteDeadline implements net.Conn.
func (c *batchedConn) SetWriteDeadline(t time.Time) error {
	if c.h2.Load() {
		return nil // the writing is not done by who sets it
	}
	return c.Conn.SetWriteDeadline(t)
}
