package h2

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// busy is a connection on which others add something to be written whenever something is.
type busy struct {
	net.Conn

	c       *conn
	adding  atomic.Bool
	written atomic.Int64
}

func (b *busy) Write(p []byte) (int, error) {
	b.written.Add(int64(len(p)))
	if b.adding.Load() {
		b.c.mu.Lock()
		b.c.out = appendPing(b.c.out, true, [8]byte{})
		b.c.mu.Unlock()
	}
	return len(p), nil
}

// Who has something to write does not write for others for ever; what they add leaves all the same.
func TestNobodyWritesForOthersForEver(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	b := &busy{Conn: ours}
	b.c = newConn(b, &host{transport: New()})
	b.adding.Store(true)
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		b.c.mu.Lock()
		defer b.c.mu.Unlock()
		b.c.out = appendPing(b.c.out, true, [8]byte{})
		b.c.flush()
	}()
	select {
	case <-flushed:
	case <-time.After(within):
		t.Error("it still writes for others")
	}
	before := b.written.Load()
	require.Eventually(t, func() bool { return b.written.Load() > before }, within, time.Millisecond)
	b.adding.Store(false)
	<-flushed
	require.Eventually(t, func() bool {
		b.c.mu.Lock()
		defer b.c.mu.Unlock()
		return !b.c.writing && len(b.c.out) == 0
	}, within, time.Millisecond)
	b.c.fail(errClosing)
	require.NoError(t, theirs.Close())
}
