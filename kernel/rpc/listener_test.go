package rpc_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"ashlar.dev/kernel/rpc"
)

// counted counts what a connection is asked for.
type counted struct {
	net.Conn

	mu            sync.Mutex
	reads, writes int
	closed        chan struct{}
	once          sync.Once
	// held keeps writes until it is closed; nil: nothing does.
	held chan struct{}
}

func (c *counted) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Conn.Read(p)
}

func (c *counted) Write(p []byte) (int, error) {
	if c.held != nil {
		<-c.held
	}
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *counted) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *counted) counts() (reads, writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads, c.writes
}

// one is a listener that has one connection.
type one struct {
	net.Listener

	conn net.Conn
}

func (o one) Accept() (net.Conn, error) { return o.conn, nil }

// pair returns both ends of a connection, that of the server as the listener gives it out.
func pair(t *testing.T) (client net.Conn, server net.Conn, inner *counted) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	client, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	accepted, err := listener.Accept()
	require.NoError(t, err)
	inner = &counted{Conn: accepted, closed: make(chan struct{})}
	server, err = rpc.NewListener(one{conn: inner}).Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server, inner
}

// begin lets a connection become one of h2c.
func begin(t *testing.T, client, server net.Conn) {
	t.Helper()
	_, err := io.WriteString(client, http2.ClientPreface)
	require.NoError(t, err)
	got := make([]byte, len(http2.ClientPreface))
	_, err = io.ReadFull(server, got)
	require.NoError(t, err)
	require.Equal(t, http2.ClientPreface, string(got))
}

// pipe returns both ends of a connection of h2c that is in memory, for tests in which time passes by itself.
func pipe(t *testing.T) (client, server net.Conn) {
	t.Helper()
	client, inner := net.Pipe()
	server, err := rpc.NewListener(one{conn: inner}).Accept()
	require.NoError(t, err)
	go func() { _, _ = io.WriteString(client, http2.ClientPreface) }()
	_, err = io.ReadFull(server, make([]byte, len(http2.ClientPreface)))
	require.NoError(t, err)
	return client, server
}

func TestFramesAreReadInBatches(t *testing.T) {
	t.Parallel()
	client, server, inner := pair(t)
	begin(t, client, server)
	before, _ := inner.counts()
	sent := bytes.Repeat([]byte("0123456789"), 100)
	_, err := client.Write(sent)
	require.NoError(t, err)
	got := make([]byte, len(sent))
	for i := 0; i < len(sent); i += 10 {
		_, err = io.ReadFull(server, got[i:i+10])
		require.NoError(t, err)
	}
	require.Equal(t, sent, got)
	after, _ := inner.counts()
	require.Less(t, after-before, 20, "of 100 reads")

	// What does not fit into a batch is read at once.
	large := bytes.Repeat([]byte("x"), 100<<10)
	go func() { _, _ = client.Write(large) }()
	got = make([]byte, len(large))
	_, err = io.ReadFull(server, got)
	require.NoError(t, err)
	require.Equal(t, large, got)
	require.NoError(t, client.Close())
	_, err = server.Read(got[:9])
	require.ErrorIs(t, err, io.EOF)
}

func TestWhatIsWrittenMeanwhileLeavesTogether(t *testing.T) {
	t.Parallel()
	client, server, inner := pair(t)
	begin(t, client, server)
	inner.held = make(chan struct{})
	var sent []byte
	for i := range 1000 {
		piece := bytes.Repeat([]byte{byte(i)}, 20)
		sent = append(sent, piece...)
		n, err := server.Write(piece)
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
	}
	close(inner.held)
	got := make([]byte, len(sent))
	_, err := io.ReadFull(client, got)
	require.NoError(t, err)
	require.Equal(t, sent, got)
	_, writes := inner.counts()
	require.LessOrEqual(t, writes, 2)
}

func TestWritingWaitsForRoom(t *testing.T) {
	t.Parallel()
	client, server, inner := pair(t)
	begin(t, client, server)
	inner.held = make(chan struct{})
	release := sync.OnceFunc(func() { close(inner.held) })
	defer release()
	total := make(chan int, 1)
	const all = 1 << 20
	sent := make(chan struct{}, all>>12)
	go func() {
		n := 0
		for n < all {
			written, err := server.Write(make([]byte, 4<<10))
			if n += written; err != nil {
				break
			}
			sent <- struct{}{}
		}
		total <- n
	}()
	for range 16 { // so much is taken
		<-sent
	}
	require.Never(t, func() bool { return len(sent) > 32 }, 200*time.Millisecond, 10*time.Millisecond, "and no more")
	release()
	n, err := io.CopyN(io.Discard, client, all)
	require.NoError(t, err)
	require.EqualValues(t, all, n)
	require.Equal(t, all, <-total)
}

// What has been written leaves before the connection is closed, as it would have without batches.
func TestClosingLosesNothing(t *testing.T) {
	t.Parallel()
	for range 200 {
		client, server, _ := pair(t)
		begin(t, client, server)
		_, err := server.Write([]byte("the end"))
		require.NoError(t, err)
		require.NoError(t, server.Close())
		got, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, "the end", string(got))
		_, err = server.Write([]byte("more"))
		require.Error(t, err)
	}
}

// Nobody who takes nothing keeps a connection open that is to be closed.
func TestClosingWaitsForNobodyLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, server := pipe(t)
		blocked := make(chan error, 1)
		go func() {
			for {
				if _, err := server.Write(make([]byte, 64<<10)); err != nil {
					blocked <- err
					return
				}
			}
		}()
		synctest.Wait() // nothing goes any more
		began := time.Now()
		_ = server.Close()
		require.Less(t, time.Since(began), 2*time.Second) // a write may take 30 otherwise
		require.Error(t, <-blocked)
	})
}

// Whoever takes something, however little, has more time; whoever takes nothing loses the connection.
func TestAConnectionThatTakesNothingIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(t)
		began := time.Now()
		_, err := server.Write([]byte("a lot"))
		require.NoError(t, err)
		require.NoError(t, server.SetWriteDeadline(began.Add(time.Second)), "has no say")
		for range 2 {
			time.Sleep(20 * time.Second)
			_, err = client.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		_, err = server.Read(make([]byte, 1)) // until it is closed
		require.Error(t, err)
		require.Equal(t, 90*time.Second, time.Since(began), "30 s after a look that found something taken")
		_, err = server.Write([]byte("more"))
		require.Error(t, err)
		require.NoError(t, server.Close())
	})
}

func TestABrokenConnectionIsClosed(t *testing.T) {
	t.Parallel()
	client, server, inner := pair(t)
	begin(t, client, server)
	require.NoError(t, client.(*net.TCPConn).SetLinger(0))
	require.NoError(t, client.Close())
	require.Eventually(t, func() bool {
		_, err := server.Write([]byte("anybody there?"))
		return err != nil
	}, patience, time.Millisecond)
	select {
	case <-inner.closed:
	case <-time.After(patience):
		t.Fatal("it is still open")
	}
}

// A connection that is none of h2c is written to at once, and keeps its deadlines.
func TestOtherConnectionsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, beginning := range []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r ", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01 a TLS handshake"} {
		client, server, inner := pair(t)
		_, err := io.WriteString(client, beginning)
		require.NoError(t, err)
		_, err = io.ReadFull(server, make([]byte, len(beginning)))
		require.NoError(t, err)
		for i := range 10 {
			_, err = server.Write([]byte("a"))
			require.NoError(t, err)
			_, writes := inner.counts()
			require.Equal(t, i+1, writes)
		}
		require.NoError(t, server.SetWriteDeadline(time.Now().Add(-time.Second)))
		_, err = server.Write([]byte("late"))
		require.Error(t, err)
	}
}

// Frames of calls go through net/http's server as they should, many at a time, and it ends in order.
func TestACallOverABatchingListener(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := newWorld(t, nil)
	server := rpc.NewHTTPServer(w.telemetry.Log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, _ = w.Write(body)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}))
	served := make(chan error, 1)
	go func() { served <- server.Serve(rpc.NewListener(listener)) }()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	require.NoError(t, framer.WriteSettings())
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	const calls = 50
	for i := range uint32(calls) {
		block.Reset()
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}} {
			require.NoError(t, encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
		}
		require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true}))
		require.NoError(t, framer.WriteData(2*i+1, true, []byte("soup")))
	}
	for ended := 0; ended < calls; {
		frame, err := framer.ReadFrame()
		require.NoError(t, err)
		if f, ok := frame.(*http2.MetaHeadersFrame); ok && f.StreamEnded() {
			ended++
		}
	}
	// The last word of the server, which it says before it closes.
	go func() { _ = rpc.ShutdownHTTP(context.WithoutCancel(t.Context()), server) }()
	goneAway := false
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		_, is := frame.(*http2.GoAwayFrame)
		goneAway = goneAway || is
	}
	require.True(t, goneAway)
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}
