package database_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
)

// cut is when a proxy cuts a connection: when the client has sent something.
type cut struct {
	// at is what the client's bytes must contain.
	at string
	// after lets the server have it, and answer, but the client not have the answer.
	after bool
	// stalls keeps the bytes back instead, and the connection open.
	stalls bool
	// times bounds how often.
	times int
}

// proxy stands between pgx and a real server.
type proxy struct {
	net.Listener

	server string // its socket

	mu   sync.Mutex
	cut  cut
	cuts int
}

// throughProxy returns the address of a database behind a proxy.
func throughProxy(t *testing.T, database config.Secret) (*proxy, config.Secret) {
	t.Helper()
	u, err := url.Parse(database.Reveal())
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: listener, server: filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { p.serve(ctx, client) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		running.Wait()
	})
	query := u.Query()
	query.Del("host")
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = listener.Addr().String(), query.Encode()
	return p, config.Secret(u.String())
}

// cutAt tells when to cut from now on.
func (p *proxy) cutAt(c cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.cuts = c, 0
}

// now says whether these bytes of a client are where to cut, and how.
func (p *proxy) now(sent []byte) (yes bool, how cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut.at == "" || p.cuts == p.cut.times || !bytes.Contains(sent, []byte(p.cut.at)) {
		return false, cut{}
	}
	p.cuts++
	return true, p.cut
}

// serve copies both ways until one side ends, or the connection is cut.
func (p *proxy) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(ctx, "unix", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	done := make(chan struct{})
	var reading sync.WaitGroup
	read := func(from net.Conn) <-chan []byte {
		out := make(chan []byte)
		reading.Go(func() {
			defer close(out)
			for buffer := make([]byte, 64<<10); ; {
				n, err := from.Read(buffer)
				if err != nil {
					return
				}
				select {
				case out <- bytes.Clone(buffer[:n]):
				case <-done:
					return
				}
			}
		})
		return out
	}
	requests, answers := read(client), read(server)
	defer func() {
		close(done)
		_, _ = client.Close(), server.Close()
		reading.Wait()
	}()
	for {
		select {
		case sent, ok := <-requests:
			if !ok {
				return
			}
			yes, how := p.now(sent)
			switch {
			case yes && how.stalls:
				continue
			case yes && !how.after:
				return
			}
			if _, err := server.Write(sent); err != nil {
				return
			}
			if yes {
				<-answers
				return
			}
		case answer, ok := <-answers:
			if !ok {
				return
			}
			if _, err := client.Write(answer); err != nil {
				return
			}
		}
	}
}
