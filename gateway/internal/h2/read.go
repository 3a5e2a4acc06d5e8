package h2

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// readBytes is how much is read at once: what arrived together is handed on together.
const readBytes = 64 << 10

const frameHeaderBytes = 9

var (
	errProtocol = errors.New("the instance does not keep to HTTP/2")
	errFlow     = errors.New("the instance sends more than it may")
)

// reader is the side of a connection that reads. It belongs to the connection's goroutine.
type reader struct {
	c      *conn
	in     *bufio.Reader
	framer *http2.Framer
	// told are the streams for which something has arrived in this batch.
	told []*stream
}

// read reads until the connection ends.
func (c *conn) read() {
	r := &reader{c: c, in: bufio.NewReaderSize(c.net, readBytes)}
	r.framer = http2.NewFramer(io.Discard, r.in)
	r.framer.SetReuseFrames()
	r.framer.SetMaxReadFrameSize(maxFrame)
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.framer.MaxHeaderListSize = maxHeaderBytes
	first := true
	for {
		frame, err := r.framer.ReadFrame()
		c.mu.Lock()
		if stop := c.err != nil; stop {
			c.mu.Unlock()
			return
		}
		if err == nil && first {
			if _, ok := frame.(*http2.SettingsFrame); !ok {
				err = errProtocol // RFC 9113, section 3.4
			}
			first = false
		}
		if broken, ok := errors.AsType[http2.StreamError](err); ok {
			r.reset(broken.StreamID, broken.Code, fmt.Errorf("%w: %w", errProtocol, err))
		} else if err == nil {
			err = r.take(frame)
		}
		if err != nil && !errors.As(err, new(http2.StreamError)) {
			c.failLocked(errors.Join(errGone, err))
			c.mu.Unlock()
			return
		}
		if !r.more() {
			r.tell()
			c.flushLater()
		}
		c.mu.Unlock()
	}
}

// more tells whether another whole frame has been read already.
func (r *reader) more() bool {
	buffered := r.in.Buffered()
	if buffered < frameHeaderBytes {
		return false
	}
	head, err := r.in.Peek(4)
	if err != nil {
		return false
	}
	return buffered-frameHeaderBytes >= int(binary.BigEndian.Uint32(head)>>8)
}

// tell wakes those for whom something has arrived.
func (r *reader) tell() {
	r.c.batches++
	r.c.heard = r.c.nextID
	for i, s := range r.told {
		s.told = false
		s.ready.Signal()
		r.told[i] = nil
	}
	r.told = r.told[:0]
}

// later notes that there is something for s.
func (r *reader) later(s *stream) {
	if !s.told {
		s.told = true
		r.told = append(r.told, s)
	}
}

// take is what a frame does. An error ends the connection. mu is held.
func (r *reader) take(frame http2.Frame) error {
	c := r.c
	switch f := frame.(type) {
	case *http2.DataFrame:
		return r.data(f)
	case *http2.MetaHeadersFrame:
		return r.headers(f)
	case *http2.RSTStreamFrame:
		if s := c.streams[f.StreamID]; s != nil {
			s.sent = true // nothing else is
			if f.ErrCode == http2.ErrCodeRefusedStream && !s.answered {
				s.fail(errRefused)
			} else {
				s.fail(fmt.Errorf("the instance reset the stream: %s", f.ErrCode))
			}
		}
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.out = appendPing(c.out, true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.GoAwayFrame:
		c.goAway(f)
	case *http2.PushPromiseFrame:
		return errProtocol // it was told not to
	}
	return nil
}

// data takes part of a body.
func (r *reader) data(f *http2.DataFrame) error {
	c := r.c
	if c.received += f.Length; c.received >= connCredit {
		c.out = appendWindowUpdate(c.out, 0, c.received)
		c.received = 0
	}
	s := c.streams[f.StreamID]
	switch {
	case s == nil && f.StreamID >= c.nextID:
		return errProtocol
	case s == nil:
		return nil // it was given up, and the instance does not know yet
	case !s.answered:
		r.reset(s.id, http2.ErrCodeProtocol, errProtocol)
		return nil
	}
	if s.receivable -= int64(f.Length); s.receivable < 0 {
		r.reset(s.id, http2.ErrCodeFlowControl, errFlow)
		return nil
	}
	s.arrived(f.Data())
	s.unsaid += int64(f.Length) - int64(len(f.Data())) // padding
	if f.StreamEnded() {
		s.end()
	}
	r.later(s)
	return nil
}

// headers takes the beginning of a response, or its trailers.
func (r *reader) headers(f *http2.MetaHeadersFrame) error {
	c := r.c
	s := c.streams[f.StreamID]
	if s == nil {
		if f.StreamID >= c.nextID {
			return errProtocol
		}
		return nil
	}
	var err error
	switch {
	case f.Truncated:
		err = fmt.Errorf("the response has more than %d bytes of headers", maxHeaderBytes)
	case s.answered:
		err = s.trail(f)
	default:
		err = s.begin(f)
	}
	if err != nil {
		r.reset(s.id, http2.ErrCodeProtocol, err)
		return nil
	}
	if f.StreamEnded() {
		s.end()
	}
	if s.answered {
		r.later(s)
	}
	return nil
}

// reset gives a stream up.
func (r *reader) reset(id uint32, code http2.ErrCode, err error) {
	if s := r.c.streams[id]; s != nil {
		r.c.out = appendReset(r.c.out, id, code)
		s.sent = true // nothing else is sent
		s.fail(err)
	}
}

func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if f.HasDuplicates() || f.NumSettings() > 64 {
		return errProtocol
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.limit.Store(int32(min(s.Val, 1<<20)))
		case http2.SettingInitialWindowSize:
			grown := int64(s.Val) - c.streamWindow
			c.streamWindow = int64(s.Val)
			for _, each := range c.streams {
				each.sendable += grown
			}
			c.roomy.Broadcast()
		case http2.SettingMaxFrameSize:
			c.frameBytes = int(min(s.Val, maxFrame))
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSize(min(s.Val, 4096))
		default:
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.out = appendSettingsAck(c.out)
	return nil
}

// windowUpdate lets more be sent (RFC 9113, section 6.9.1).
func (c *conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	const most = 1<<31 - 1
	if f.StreamID == 0 {
		if c.window += int64(f.Increment); c.window > most {
			return errFlow
		}
	} else if s := c.streams[f.StreamID]; s != nil {
		if s.sendable += int64(f.Increment); s.sendable > most {
			c.out = appendReset(c.out, s.id, http2.ErrCodeFlowControl)
			s.sent = true
			s.fail(errFlow)
		}
	}
	c.roomy.Broadcast()
	return nil
}

// goAway lets the connection take no more streams; those that the instance has not looked at can go elsewhere.
func (c *conn) goAway(f *http2.GoAwayFrame) {
	c.closing.Store(true)
	for id, s := range c.streams {
		if id > f.LastStreamID {
			s.sent = true
			s.fail(errClosing)
		}
	}
	if c.active.Load() == 0 {
		c.failLocked(errClosing)
	}
}
