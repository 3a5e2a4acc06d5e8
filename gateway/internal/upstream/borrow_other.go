//go:build !unix

package upstream

import (
	"net"
	"syscall"
)

// borrower has to hold a buffer while it waits here.
type borrower struct{}

func (*borrower) wait(inner net.Conn, _ syscall.RawConn) (*readBuffer, int, error) {
	return waitHolding(inner)
}
