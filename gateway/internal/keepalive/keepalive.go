// Package keepalive bounds how long a TCP connection outlives the machine at its other end, which may be gone without a
// word. A machine that is there answers for its processes, paused ones, too.
package keepalive

import (
	"net"
	"syscall"
	"time"
)

// Config lets a connection on which nothing is under way end within that time after its other end is gone. The time is a
// multiple of 8 s.
func Config(within time.Duration) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: within * 5 / 8, Interval: within / 8, Count: 3}
}

// Control is for net.Dialer and net.ListenConfig. It does the same for a connection on which something is under way that the
// other end has not confirmed: TCP would send it again and again for a quarter of an hour, and ask nothing meanwhile. One
// whose other end takes nothing for so long ends, too. Systems other than Linux know no such bound.
func Control(within time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if failure := c.Control(func(fd uintptr) { err = bound(fd, within) }); failure != nil {
			return failure
		}
		return err
	}
}
