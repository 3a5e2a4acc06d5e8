package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

const (
	// maxHeadBytes bounds the head of an answer, and is the size of the buffer that it is read into.
	maxHeadBytes = 32 << 10
	// maxTrailerBytes bounds what follows the last chunk of an answer.
	maxTrailerBytes = 8 << 10
	// maxInterim is how many interim answers (1xx) may come before the answer.
	maxInterim = 8
)

var (
	errHeadTooLong = fmt.Errorf("the head of the answer has more than %d bytes", maxHeadBytes)
	errInterim     = errors.New("too many interim answers")
	errSwitched    = errors.New("the protocol was switched though nobody asked for it")
)

// Conn is a connection to an instance. But for Abort, it belongs to one goroutine at a time.
type Conn struct {
	net    net.Conn
	raw    syscall.RawConn // nil where the state of a connection cannot be looked at
	peeker peeker
	host   *host
	pool   *Pool
	since  time.Time // when it was given back
	reused bool

	// in is there while a call is under way.
	in *bufio.Reader
	// answered: something has come in that the call has to answer for.
	answered bool
	// left is what is left of a body whose length is known, and chunked says that it has chunks; -1 and false for a body
	// that lasts until the connection ends.
	left     int64
	chunked  bool
	chunks   chunks
	borrower borrower
	again    []byte // what Whole took and has been given back
	whole    bool   // the answer has been read to its end
	surplus  bool   // something follows it
	keep     bool   // the instance keeps the connection
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxHeadBytes) }}

func newConn(inner net.Conn, h *host, p *Pool) *Conn {
	c := &Conn{net: inner, host: h, pool: p}
	if s, ok := inner.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	return c
}

// Reused tells whether calls have been made on it before.
func (c *Conn) Reused() bool { return c.reused }

// Answered tells whether anything of an answer to the present call has come.
func (c *Conn) Answered() bool { return c.answered }

// Send begins a call: it writes a whole request. sent is how much of it went out.
func (c *Conn) Send(request []byte) (sent int, err error) {
	c.in, _ = readers.Get().(*bufio.Reader) // nothing else is in there
	c.in.Reset(c.net)
	c.answered, c.whole, c.surplus, c.keep, c.chunked, c.again, c.left = false, false, false, false, false, nil, 0
	c.chunks = chunks{}
	return c.net.Write(request)
}

// Until moves the deadline of all that is read and written.
func (c *Conn) Until(deadline time.Time) error { return c.net.SetDeadline(deadline) }

// Abort ends what the call waits for. It may be called at any time by anybody who sees to it that Release is told.
func (c *Conn) Abort() { _ = c.net.SetDeadline(time.Unix(1, 0)) }

// Receive reads the head of the answer; interim ones are passed over.
func (c *Conn) Receive(head *Head) error {
	for range maxInterim {
		block, err := c.peekHead()
		if err != nil {
			return err
		}
		if err := head.parse(string(block)); err != nil {
			return err
		}
		if _, err := c.in.Discard(len(block)); err != nil {
			return err
		}
		switch {
		case head.Status == http.StatusSwitchingProtocols:
			return errSwitched
		case head.Status >= http.StatusOK:
			c.begin(head)
			return nil
		}
	}
	return errInterim
}

// begin sets up the body.
func (c *Conn) begin(head *Head) {
	c.keep = !head.Close
	c.left = head.Length
	c.chunked = head.Chunked
	c.whole = head.Length == 0 && !head.Chunked
}

// peekHead returns the head of the answer, its empty line included, without taking it.
func (c *Conn) peekHead() ([]byte, error) {
	for {
		n := c.in.Buffered()
		if n > 0 {
			c.answered = true
			seen, err := c.in.Peek(n)
			if err != nil {
				return nil, err
			}
			if end := bytes.Index(seen, headEnd); end >= 0 {
				return seen[:end+len(headEnd)], nil
			}
			if n == c.in.Size() {
				return nil, errHeadTooLong
			}
		}
		if _, err := c.in.Peek(n + 1); err != nil {
			return nil, unexpected(err)
		}
	}
}

// Whole returns the whole body if its length is known and fits in limit bytes, which must be below 32 KiB. It is
// valid until Release.
func (c *Conn) Whole(limit int64) ([]byte, bool, error) {
	if c.chunked || c.left < 0 || c.left > limit {
		return nil, false, nil
	}
	body, err := c.in.Peek(int(c.left))
	if err != nil {
		return nil, false, unexpected(err)
	}
	if _, err := c.in.Discard(len(body)); err != nil { // leaves the bytes where they are
		return nil, false, err
	}
	c.left, c.whole = 0, true
	return body, true, nil
}

// Unread gives back what Whole has returned, for WriteTo.
func (c *Conn) Unread(body []byte) { c.again, c.whole = body, len(body) == 0 }

// Release ends a call and gives the connection back; undisturbed says that nobody has called Abort, or will. It is used
// again if the answer has been read to its end, nothing follows it, and the instance keeps the connection.
func (c *Conn) Release(undisturbed bool) {
	certain := undisturbed && c.whole && c.keep && !c.surplus && (c.in == nil || c.in.Buffered() == 0)
	c.letGo()
	c.again = nil
	if !certain || !c.host.keep(c) {
		c.close()
	}
}

// letGo gives back what answers are read by.
func (c *Conn) letGo() {
	if c.in != nil {
		c.in.Reset(nil)
		readers.Put(c.in)
		c.in = nil
	}
}

func (c *Conn) close() { _ = c.net.Close() }

// quiet tells whether the connection is open and nothing has come that nobody asked for.
func (c *Conn) quiet() bool { return c.raw == nil || c.peeker.quiet(c.raw) }

// unexpected is the error of an answer that breaks off.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
