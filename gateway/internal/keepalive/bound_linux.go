package keepalive

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// bound sets TCP_USER_TIMEOUT (tcp(7); RFC 5482). Accepted connections have what their listener has.
func bound(fd uintptr, within time.Duration) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(within.Milliseconds())))
}
