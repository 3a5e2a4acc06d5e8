package edge

import (
	"sync/atomic"
	"time"
)

// stalling watches how long the writes of a stream take. A deadline for each of them would do the same; over HTTP/2 it
// costs more than the write itself, as it is set on the connection's goroutine.
type stalling struct {
	timer *time.Timer
	since atomic.Int64 // when the write began that is under way, in nanoseconds; 0: none is
	armed atomic.Bool  // the timer runs
}

// begin notes that a write begins.
func (s *stalling) begin(p *peer) {
	if p.stall == 0 {
		return
	}
	s.since.Store(time.Now().UnixNano())
	if s.armed.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(p.stall, func() { s.look(p) })
	} else {
		s.timer.Reset(p.stall)
	}
}

// done notes that it has ended.
func (s *stalling) done() { s.since.Store(0) }

// stop ends the watching.
func (s *stalling) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// look ends writing to a caller who takes nothing. Where nothing is being written, the next write sets the timer again.
func (s *stalling) look(p *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	since := s.since.Load()
	if since == 0 {
		s.armed.Store(false)
		if since = s.since.Load(); since == 0 || s.armed.Swap(true) {
			return
		}
	}
	if left := p.stall - time.Since(time.Unix(0, since)); left > 0 {
		s.timer.Reset(left)
		return
	}
	_ = p.deadlines.SetWriteDeadline(time.Now())
}
