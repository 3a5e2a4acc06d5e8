//go:build unix

package upstream

import (
	"errors"
	"syscall"
)

// peeker looks at what the other end has sent, without taking it.
type peeker struct {
	idle bool
	look func(fd uintptr) bool // made once
	byte [1]byte
}

// quiet tells whether there is nothing: neither data, nor the end, nor an error.
func (p *peeker) quiet(raw syscall.RawConn) bool {
	if p.look == nil {
		p.look = func(fd uintptr) bool {
			_, _, err := syscall.Recvfrom(int(fd), p.byte[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			p.idle = errors.Is(err, syscall.EAGAIN)
			return true
		}
	}
	p.idle = false
	return raw.Read(p.look) == nil && p.idle
}
