//go:build unix

package upstream

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// borrower reads into buffers that it holds only while there is something in them.
type borrower struct {
	buffer *readBuffer
	n      int
	err    error
	read   func(fd uintptr) bool // made once
}

// wait waits until something has come, and returns it, and the buffer that it is in, which the caller gives back.
func (b *borrower) wait(inner net.Conn, raw syscall.RawConn) (*readBuffer, int, error) {
	if raw == nil {
		return waitHolding(inner)
	}
	if b.read == nil {
		b.read = b.try
	}
	b.n, b.err = 0, nil
	if err := raw.Read(b.read); err != nil {
		return nil, 0, err
	}
	buffer := b.buffer
	b.buffer = nil
	return buffer, b.n, b.err
}

// try reads, and reports whether there was anything.
func (b *borrower) try(fd uintptr) bool {
	buffer := borrow()
	for {
		n, err := syscall.Read(int(fd), buffer[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			buffer.giveBack()
			return false
		case err != nil:
			b.err = err
		case n == 0:
			b.err = io.EOF
		}
		if b.err != nil {
			buffer.giveBack()
			return true
		}
		b.buffer, b.n = buffer, n
		return true
	}
}
