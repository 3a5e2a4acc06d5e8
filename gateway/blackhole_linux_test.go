package gateway_test

import (
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blackHole is an address that does not answer to new connections, as that of a machine that is gone: nobody accepts, and
// the kernel drops what does not fit into its queue.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port))
	for range 10 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}

// A machine is gone without a word: what was not sent can be sent elsewhere, so that no call fails, whatever its effects.
func TestInstanceThatCannotBeDialed(t *testing.T) {
	for _, procedure := range []string{look, change} {
		t.Run(procedure, func(t *testing.T) {
			w := newWorld(t, withoutShedding)
			w.echoes(t, 0, 2)
			load := w.call(t, procedure)
			w.enlist("echo-9", blackHole(t))
			began := time.Now()
			for time.Since(began) < faultTime(t) {
				load.more(50)
			}
			load.drained()
			load.stop()
			assert.Zero(t, load.failed.Load(), "of %d", load.served.Load())
			assert.Greater(t, load.slowest(), 500*time.Millisecond, "nobody has tried it")
			t.Logf("%d calls, none failed; the slowest took %s", load.served.Load(), load.slowest().Round(time.Millisecond))
		})
	}
}
