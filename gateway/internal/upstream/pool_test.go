package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/leaktest"
)

// within bounds what should take milliseconds.
const within = 20 * time.Second

func TestMain(m *testing.M) { leaktest.Main(m) }

// instance answers by a script: each connection is handed to it.
type instance struct {
	t           *testing.T
	listener    net.Listener
	connections chan net.Conn
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	i := &instance{t: t, listener: listener, connections: make(chan net.Conn, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			i.connections <- c
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		close(i.connections)
		for c := range i.connections {
			_ = c.Close()
		}
	})
	return i
}

func (i *instance) accept() net.Conn {
	i.t.Helper()
	select {
	case c := <-i.connections:
		i.t.Cleanup(func() { _ = c.Close() })
		return c
	case <-time.After(within):
		i.t.Fatal("nobody has connected")
		return nil
	}
}

const request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

// call makes one call and returns the answer's body.
func call(t *testing.T, p *Pool, address string, serve func()) (reused bool, status int, body string, err error) {
	t.Helper()
	c, err := p.Get(t.Context(), address, time.Now().Add(within))
	require.NoError(t, err)
	defer c.Release(true)
	if _, err := c.Send([]byte(request)); err != nil {
		return c.Reused(), 0, "", err
	}
	serve()
	var head Head
	if err := c.Receive(&head); err != nil {
		return c.Reused(), 0, "", err
	}
	var data bytes.Buffer
	_, err = c.WriteTo(&data)
	return c.Reused(), head.Status, data.String(), err
}

// What an instance says, what it is taken for, and whether the connection is used again after that.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		says  string
		ends  bool // the instance ends the connection
		body  string
		fails bool
		again bool
	}{
		"length":              {says: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", body: "{}", again: true},
		"empty":               {says: "HTTP/1.1 204 No Content\r\n\r\n", again: true},
		"long":                {says: "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, body: long, again: true},
		"chunks":              {says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", body: "{}", again: true},
		"chunks and trailers": {says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n\r\n", body: "{}", again: true},
		"interim answers":     {says: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", body: "{}", again: true},
		"close":               {says: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", body: "{}"},
		"until the end":       {says: "HTTP/1.1 200 OK\r\n\r\n{}", ends: true, body: "{}"},
		"more than the answer": {
			says: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", body: "{}",
		},
		"breaks off in the head":    {says: "HTTP/1.1 200 OK\r\nContent-", ends: true, fails: true},
		"breaks off in the body":    {says: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", ends: true, fails: true},
		"breaks off in the chunks":  {says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", ends: true, fails: true},
		"breaks off in the trailer": {says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n", ends: true, fails: true},
		"endless trailer":           {says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 2000) + "\r\n", fails: true},
		"nothing":                   {ends: true, fails: true},
		"garbage":                   {says: "SSH-2.0-OpenSSH\r\n\r\n", fails: true},
		"an endless head":           {says: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxHeadBytes), fails: true},
		"endless interim answers":   {says: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1), fails: true},
		"another protocol":          {says: "HTTP/1.1 101 Switching Protocols\r\n\r\n", fails: true},
		"a bad chunk":               {says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstance(t)
			p := NewPool()
			defer p.Close()
			reused, _, body, err := call(t, p, i.listener.Addr().String(), func() {
				server := i.accept()
				_, werr := io.WriteString(server, c.says)
				require.NoError(t, werr)
				if c.ends {
					require.NoError(t, server.(*net.TCPConn).CloseWrite())
				}
			})
			assert.False(t, reused)
			if c.fails {
				require.Error(t, err)
				assert.NotErrorIs(t, err, io.EOF)
			} else {
				require.NoError(t, err)
				assert.Equal(t, c.body, body)
			}
			assert.Equal(t, c.again, len(p.host(i.listener.Addr().String()).idle) == 1)
		})
	}
}

// A connection that the instance has closed, or on which it says something unasked, is not used again.
func TestConnectionsThatAreNotCertain(t *testing.T) {
	for name, spoil := range map[string]func(net.Conn) error{
		"closed": net.Conn.Close,
		"reset": func(c net.Conn) error {
			return errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close())
		},
		"speaks unasked": func(c net.Conn) error {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstance(t)
			p := NewPool()
			defer p.Close()
			address := i.listener.Addr().String()
			var server net.Conn
			answer := func() {
				_, err := io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				require.NoError(t, err)
			}
			_, _, _, err := call(t, p, address, func() { server = i.accept(); answer() })
			require.NoError(t, err)
			reused, _, _, err := call(t, p, address, answer)
			require.NoError(t, err)
			require.True(t, reused)

			require.NoError(t, spoil(server))
			kept := p.host(address).idle[0]
			require.Eventually(t, func() bool { return !kept.quiet() }, within, time.Millisecond)
			reused, _, body, err := call(t, p, address, func() { server = i.accept(); answer() })
			require.NoError(t, err)
			assert.False(t, reused)
			assert.Equal(t, "{}", body)
		})
	}
}

func TestAbortAndDeadlineEndWaiting(t *testing.T) {
	i := newInstance(t)
	p := NewPool()
	defer p.Close()
	address := i.listener.Addr().String()
	for name, end := range map[string]func(*Conn) error{
		"abort":    func(c *Conn) error { go c.Abort(); return nil },
		"deadline": func(c *Conn) error { return c.Until(time.Now().Add(time.Millisecond)) },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := p.Get(t.Context(), address, time.Now().Add(within))
			require.NoError(t, err)
			_, err = c.Send([]byte(request))
			require.NoError(t, err)
			require.NoError(t, end(c))
			var timeout net.Error
			require.ErrorAs(t, c.Receive(new(Head)), &timeout)
			assert.True(t, timeout.Timeout())
			c.Release(false)
			assert.Empty(t, p.host(address).idle)
		})
	}
}

// What discovery does not show any more gets nothing new, also on connections that come back later.
func TestForget(t *testing.T) {
	i := newInstance(t)
	p := NewPool()
	defer p.Close()
	address := i.listener.Addr().String()
	c, err := p.Get(t.Context(), address, time.Now().Add(within))
	require.NoError(t, err)
	p.Forget(address)
	_, err = c.Send([]byte(request))
	require.NoError(t, err)
	_, err = io.WriteString(i.accept(), "HTTP/1.1 204 No Content\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, c.Receive(new(Head)))
	c.Release(true)
	_, err = c.net.Write([]byte{0})
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	i := newInstance(t)
	p := NewPool()
	defer p.Close()
	address := i.listener.Addr().String()
	_, status, _, err := call(t, p, address, func() {
		_, err := io.WriteString(i.accept(), "HTTP/1.1 204 No Content\r\n\r\n")
		require.NoError(t, err)
	})
	require.NoError(t, err)
	require.Equal(t, 204, status)
	p.sweep()
	require.Len(t, p.host(address).idle, 1)
	p.host(address).idle[0].since = time.Now().Add(-2 * idleTimeout)
	p.sweep()
	require.Empty(t, p.host(address).idle)
}

func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	p := NewPool()
	defer p.Close()
	_, err = p.Get(context.Background(), listener.Addr().String(), time.Now().Add(within))
	require.Error(t, err)
}
