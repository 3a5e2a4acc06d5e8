package upstream

import (
	"errors"
	"io"
	"net"
	"sync"
)

// readBuffer is what a body that flows is read into.
type readBuffer [maxHeadBytes]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

func borrow() *readBuffer {
	b, _ := readBuffers.Get().(*readBuffer) // nothing else is in there
	return b
}

func (b *readBuffer) giveBack() { readBuffers.Put(b) }

// waitHolding waits with a buffer in hand.
func waitHolding(inner net.Conn) (*readBuffer, int, error) {
	buffer := borrow()
	n, err := inner.Read(buffer[:])
	if n == 0 && err != nil {
		buffer.giveBack()
		return nil, 0, err
	}
	return buffer, n, nil
}

// WriteTo implements io.WriterTo for the body: each Write gets all that has arrived by then. While nothing arrives a body
// that has chunks holds no buffer.
func (c *Conn) WriteTo(w io.Writer) (written int64, err error) {
	if c.chunked {
		return c.writeChunked(w)
	}
	for !c.whole {
		p := c.again
		if p == nil {
			if _, err := c.in.Peek(1); err != nil {
				if c.whole = c.left < 0 && errors.Is(err, io.EOF); c.whole {
					return written, nil
				}
				return written, unexpected(err)
			}
			if p, err = c.in.Peek(c.in.Buffered()); err != nil {
				return written, err
			}
			if c.left >= 0 && int64(len(p)) > c.left {
				p = p[:c.left]
			}
		}
		n, err := w.Write(p)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if c.again != nil {
			c.again, c.whole = nil, true
			continue
		}
		if _, err := c.in.Discard(len(p)); err != nil {
			return written, err
		}
		if c.left > 0 {
			c.left -= int64(len(p))
			c.whole = c.left == 0
		}
	}
	return written, nil
}

// writeChunked copies a body that has chunks. What came with the head is in c.in, which is not needed after that.
func (c *Conn) writeChunked(w io.Writer) (written int64, err error) {
	pass := func(p []byte) error {
		body, rest, err := c.chunks.feed(p)
		c.surplus = c.surplus || len(rest) > 0
		c.whole = c.chunks.state == ended
		if len(body) > 0 {
			n, failed := w.Write(body)
			written += int64(n)
			if failed != nil {
				return failed
			}
		}
		return err
	}
	if n := c.in.Buffered(); n > 0 {
		first, err := c.in.Peek(n)
		if err != nil {
			return 0, err
		}
		err = pass(first)
		if _, discarded := c.in.Discard(n); err != nil || discarded != nil {
			return written, errors.Join(err, discarded)
		}
	}
	c.letGo()
	for !c.whole {
		buffer, n, err := c.borrower.wait(c.net, c.raw)
		if err != nil {
			return written, unexpected(err)
		}
		err = pass(buffer[:n])
		buffer.giveBack()
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
