package edge

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"ashlar.dev/gateway/internal/wire"
)

const (
	// hopTime is how much earlier the service's deadline is than the caller's, so that the service's own answer about it
	// can still arrive.
	hopTime = 10 * time.Millisecond
	// answerTime is how long after the deadline an answer that has begun may take to arrive: cut off, it would tell
	// the caller less than what the service has to say.
	answerTime = time.Second
)

// timer ends a call at its deadline. The zero value is a call without one.
type timer struct {
	deadline time.Time
	timer    *time.Timer
}

func (t *timer) start(d time.Duration, end func()) {
	t.deadline = time.Now().Add(d)
	t.timer = time.AfterFunc(d, end)
}

// early lets the timer come once before the deadline, after d; 0: at the deadline.
func (t *timer) early(d time.Duration) {
	if t.timer != nil {
		t.timer.Reset(cmp.Or(d, time.Until(t.deadline)))
	}
}

// late is what the timer does: the deadline has passed, or it is time to ask another instance.
func (c *call) late() {
	if q := c.inquiry.Load(); q != nil && time.Now().Before(c.timer.deadline) {
		c.timer.early(0)
		q.late()
		return
	}
	c.giveUp(context.DeadlineExceeded)
}

// passed tells whether the deadline has passed, whatever the timer has done about it.
func (t *timer) passed() bool { return !t.deadline.IsZero() && !time.Now().Before(t.deadline) }

func (t *timer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// answered allows for the answer to arrive, if the deadline has not passed yet.
func (t *timer) answered() {
	if t.timer != nil && t.timer.Stop() {
		t.timer.Reset(time.Until(t.deadline) + answerTime)
	}
}

// tells says whether the service is told how long it has: where the caller or the service's own manifest sets a bound.
// The gateway's own patience is nobody's promise; when it ends, the call is cancelled.
func (c *call) tells() bool { return c.route.Timeout > 0 || wire.HasTimeout(c.protocol, c.r.Header) }

// forward tells the service how long it has.
func (t *timer) forward(protocol wire.Protocol, header http.Header) {
	if t.timer == nil {
		wire.ClearTimeout(header)
		return
	}
	wire.SetTimeout(protocol, header, max(t.hop(), time.Millisecond))
}

// hop is how long the service has.
func (t *timer) hop() time.Duration {
	left := time.Until(t.deadline)
	return left - min(hopTime, left/10)
}
