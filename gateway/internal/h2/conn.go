package h2

import (
	"bytes"
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// streamWindow is how much of one stream may arrive that nobody has taken yet: what a slow reader costs at most.
	streamWindow = 256 << 10
	// connWindow is the same for all streams of a connection: as much as can be said, so that no stream waits for the
	// reader of another one. What bounds it is the number of streams.
	connWindow = 1 << 30
	// connCredit is how much arrives before the window of the connection is opened again.
	connCredit = 16 << 20
	// maxFrame is the largest frame that may arrive.
	maxFrame = 64 << 10
	// maxHeaderBytes bounds the headers of a response, and the trailers.
	maxHeaderBytes = 64 << 10
	// firstStreams is how many streams may be open before the instance has said how many.
	firstStreams = 100
	// maxPending bounds what waits to be written on a connection before bodies have to wait.
	maxPending = 256 << 10
	// maxRounds is how often in a row who has something to write writes for others, too.
	maxRounds = 8
	// maxFlooded is from when on a connection is cut whose other end asks for answers and does not take them.
	maxFlooded = 4 << 20

	// A connection that is silent for unheardTicks after a request, or for silentTicks while streams are open, is asked for a
	// sign of life, and cut after pingTicks more; one that takes nothing of what is written, after writeTicks; one that
	// nobody uses, after idleTicks. A pause for garbage is a thousandth of pingTicks, and a process on a machine with ten
	// times the work it can do gets its turn within a fifth. Each PING that is answered ends the haste: streams that are
	// open for long cost one for silentTicks.
	tick         = 500 * time.Millisecond
	unheardTicks = 2
	silentTicks  = 10
	pingTicks    = 4
	writeTicks   = 20
	idleTicks    = 180
)

var (
	errSilent  = errors.New("the instance gives no sign of life")
	errStalled = errors.New("the instance takes nothing of what is sent to it")
	errFlooded = errors.New("the instance asks more than it takes answers")
	errGone    = errors.New("the connection broke")
)

// conn is one connection to an instance. Everything below mu is guarded by it, streams included.
type conn struct {
	net  net.Conn
	host *host

	// active is how many streams are open or about to be; limit how many may be; closing, that no more may come.
	active  atomic.Int32
	limit   atomic.Int32
	closing atomic.Bool

	mu      sync.Mutex
	streams map[uint32]*stream
	nextID  uint32
	heard   uint32 // what nextID was when something was read last
	batches uint64 // counts what has been read
	err     error  // why it is over

	// What the instance has allowed.
	window       int64 // bytes that may be sent on all streams
	streamWindow int64 // and on a new one
	frameBytes   int

	// received is what has arrived since the window was opened last.
	received uint32

	encoder *hpack.Encoder
	block   bytes.Buffer // what encoder writes to

	// out is what waits to be written; one goroutine writes for all.
	out, spare []byte
	writing    bool
	written    uint64    // how often something was written
	roomy      sync.Cond // out or a window has room again

	watch watch
}

// watch is what a connection's timer remembers from one tick to the next.
type watch struct {
	timer                 *time.Timer
	batches, written      uint64
	silent, stalled, idle int
	pinged                int // what silent was when a sign of life was asked for; 0: none was
}

func newConn(inner net.Conn, h *host) *conn {
	c := &conn{
		net: inner, host: h, streams: map[uint32]*stream{}, nextID: 1,
		window: 65535, streamWindow: 65535, frameBytes: 16 << 10, // RFC 9113, sections 6.5.2 and 6.9.2
	}
	c.limit.Store(firstStreams)
	c.roomy.L = &c.mu
	c.encoder = hpack.NewEncoder(&c.block)
	return c
}

// open says hello and begins to read.
func (c *conn) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, http2.ClientPreface...)
	c.out = appendSettings(c.out,
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: maxFrame},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaderBytes},
	)
	c.out = appendWindowUpdate(c.out, 0, connWindow-65535)
	c.watch.timer = time.AfterFunc(tick, c.look)
	go c.read()
	c.flushLater()
}

// room tells whether one more stream would be allowed.
func (c *conn) room() bool { return !c.closing.Load() && c.active.Load() < c.limit.Load() }

// reserve takes room for one more stream, if there is.
func (c *conn) reserve() bool {
	if c.closing.Load() {
		return false
	}
	if c.active.Add(1) > c.limit.Load() {
		c.unreserve()
		return false
	}
	return true
}

// unreserve gives the room of a stream back.
func (c *conn) unreserve() {
	if c.active.Add(-1) == 0 && c.closing.Load() {
		c.fail(errClosing)
	}
}

// drain lets the connection take no more streams, and closes it when it has none.
func (c *conn) drain() {
	c.closing.Store(true)
	if c.active.Load() == 0 {
		c.fail(errClosing)
	}
}

// fail ends the connection and all that is under way on it.
func (c *conn) fail(err error) {
	c.mu.Lock()
	c.failLocked(err)
	c.mu.Unlock()
}

func (c *conn) failLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.closing.Store(true)
	if c.watch.timer != nil {
		c.watch.timer.Stop()
	}
	for _, s := range c.streams {
		s.fail(err)
	}
	c.roomy.Broadcast()
	_ = c.net.Close()
	go c.host.remove(c) // its lock comes before this one
}

// flush sees to it that out is written: by the caller, unless somebody is at it. The caller holds mu, which is free
// while something is written: what others add meanwhile leaves with the next write. Where they go on adding, the caller is
// let go, who has a call of his own.
func (c *conn) flush() {
	if c.writing {
		return
	}
	c.writing = true
	if c.write(maxRounds) {
		go func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.write(math.MaxInt)
		}()
	}
}

// write writes out, again and again, so many times at most, and tells whether it has to go on. mu is held, and free meanwhile.
func (c *conn) write(times int) (more bool) {
	for ; len(c.out) > 0 && c.err == nil; times-- {
		if times == 0 {
			return true
		}
		out := c.out
		c.out = c.spare[:0]
		c.mu.Unlock()
		_, err := c.net.Write(out)
		c.mu.Lock()
		c.written++
		if cap(out) > 2*maxPending {
			out = nil
		}
		c.spare = out
		c.roomy.Broadcast()
		if err != nil {
			c.failLocked(errors.Join(errGone, err))
		}
	}
	c.writing = false
	return false
}

// flushLater is flush for those who must not wait.
func (c *conn) flushLater() {
	if len(c.out) > maxFlooded {
		c.failLocked(errFlooded)
	}
	if c.writing || len(c.out) == 0 || c.err != nil {
		return
	}
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flush()
	}()
}

// look is what the timer does.
func (c *conn) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	w := &c.watch
	if c.batches != w.batches || len(c.streams) == 0 {
		w.silent, w.pinged = 0, 0
	} else {
		w.silent++
	}
	if c.written != w.written || !c.writing {
		w.stalled = 0
	} else {
		w.stalled++
	}
	if c.active.Load() == 0 {
		w.idle++
	} else {
		w.idle = 0
	}
	w.batches, w.written = c.batches, c.written
	switch {
	case w.stalled >= writeTicks:
		c.failLocked(errStalled)
		return
	case w.pinged > 0 && w.silent >= w.pinged+pingTicks:
		c.failLocked(errSilent)
		return
	case w.idle >= idleTicks:
		c.closing.Store(true)
		if c.active.Load() == 0 { // a stream that has been reserved meanwhile ends it
			c.failLocked(errClosing)
			return
		}
	case w.pinged == 0 && (w.silent >= silentTicks || w.silent >= unheardTicks && c.heard != c.nextID):
		w.pinged = w.silent
		c.out = appendPing(c.out, false, [8]byte{})
		c.flushLater()
	}
	w.timer.Reset(tick)
}
