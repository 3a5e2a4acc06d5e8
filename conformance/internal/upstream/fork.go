package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// preface is how a connection of HTTP/2 begins (RFC 9113, section 3.4); no request of HTTP/1.1 does.
const preface = "PRI"

// fork is one address for two servers: connections go to the one that they speak, byte for byte.
type fork struct {
	listener     net.Listener
	http1, http2 string
	open         sync.WaitGroup

	mu    sync.Mutex
	ended bool
	conns map[net.Conn]struct{}
}

// newFork begins to take connections.
func newFork(ctx context.Context, http1, http2 string) (*fork, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen before the reference servers: %w", err)
	}
	f := &fork{listener: listener, http1: http1, http2: http2, conns: map[net.Conn]struct{}{}}
	ctx = context.WithoutCancel(ctx) // the end is close's
	f.open.Go(func() { f.accept(ctx) })
	return f, nil
}

func (f *fork) address() string { return f.listener.Addr().String() }

// close closes all connections.
func (f *fork) close() error {
	err := f.listener.Close()
	f.mu.Lock()
	f.ended = true
	for conn := range f.conns {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.open.Wait()
	return err
}

func (f *fork) accept(ctx context.Context) {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return // it was closed
		}
		f.open.Go(func() { f.pass(ctx, conn) })
	}
}

// keep remembers a connection so that close finds it, and reports whether it may be used.
func (f *fork) keep(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.conns[conn] = struct{}{}
	}
	return !f.ended
}

func (f *fork) drop(conn net.Conn) {
	_ = conn.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}

// pass passes on what comes, in both directions, and the end of each.
func (f *fork) pass(ctx context.Context, near net.Conn) {
	defer f.drop(near)
	if !f.keep(near) {
		return
	}
	reader := bufio.NewReader(near)
	begin, err := reader.Peek(len(preface))
	if err != nil {
		return
	}
	address := f.http1
	if string(begin) == preface {
		address = f.http2
	}
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer f.drop(far)
	if !f.keep(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { copyTo(far, reader) })
	both.Go(func() { copyTo(near, far) })
	both.Wait()
}

// copyTo copies to the end of what is read, and ends what is written then; a broken connection ends both directions.
func copyTo(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}
