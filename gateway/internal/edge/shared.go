package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/balance"
)

// inquiry is a call without effects that goes over connections which calls share. All of its request is there, so that
// another instance can be asked.
type inquiry struct {
	c     *call
	out   *http.Request
	tries balance.Tries

	mu            sync.Mutex
	first, second share
	// waiting: the first instance has not answered yet. hedged is there once the second one is asked, and closed once it has
	// answered, or failed; overtaken says that it answered before the first one.
	waiting, overtaken bool
	hedged             chan struct{}
}

// share is what one instance is asked. It is the body of what it answers.
type share struct {
	io.ReadCloser

	lease    balance.Lease
	ctx      context.Context //nolint:containedctx // it ends when another instance has answered
	end      context.CancelFunc
	began    time.Time
	response *http.Response
	// err is why there is no answer, and outcome what that tells about the instance.
	err     error
	outcome balance.Outcome
}

// isInquiry tells whether a call goes that way.
func (c *call) isInquiry() bool {
	return c.h.Direct != nil && c.h.Direct.Shared != nil && c.route.Safe && c.protocol == wire.GRPC && (c.whole != nil || c.r.Body == http.NoBody)
}

// inquire asks instances until one answers.
func (c *call) inquire() (*http.Response, error) {
	q := &inquiry{c: c, out: c.outgoing(), tries: balance.TriesOf(c.route.Versions)}
	c.inquiry.Store(q)
	for {
		if err := q.lease(&q.first); err != nil {
			return nil, err
		}
		s := q.ask()
		if s.err == nil {
			s.lease.Answering()
			c.wentTo(s.lease.Instance(), c.attempts)
			s.ReadCloser, s.response.Body = s.response.Body, s
			return s.response, nil
		}
		s.give(s.outcome, &q.tries)
		again := s.outcome == balance.Unreachable && q.tries.Left()
		if s.outcome == balance.Broken && c.ended() == nil {
			again = s.lease.Retry(&q.tries)
		}
		if !again {
			return nil, s.err
		}
	}
}

// lease picks an instance.
func (q *inquiry) lease(s *share) error {
	lease, err := q.c.lease(q.c.r.Context(), &q.tries)
	if err == nil {
		*s = share{lease: lease}
		s.ctx, s.end = context.WithCancel(q.c.r.Context())
	}
	return err
}

// ask asks the instance that has been picked, and another one where that takes long. It returns the one that answered; where
// none did, one that has not been accounted for.
func (q *inquiry) ask() *share {
	first, second := &q.first, &q.second
	q.mu.Lock()
	q.waiting, q.hedged = true, nil
	q.mu.Unlock()
	q.c.timer.early(q.c.patience())
	first.ask(q)
	q.mu.Lock()
	hedged := q.hedged
	q.waiting = false
	taken := first.err == nil && !q.overtaken
	if taken && hedged != nil {
		second.end()
	}
	q.mu.Unlock()
	if taken || hedged == nil {
		return first
	}
	<-hedged // where the first one failed, the second one may still answer
	if second.err != nil {
		return first
	}
	first.give(first.outcome, &q.tries)
	return second
}

// late asks a second instance, if the first one has not answered yet.
func (q *inquiry) late() {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, second := &q.first, &q.second
	if !q.waiting || q.hedged != nil || !first.lease.Retry(&q.tries) || q.lease(second) != nil {
		return
	}
	q.hedged = make(chan struct{})
	defer close(q.hedged)
	q.c.h.metrics.hedged.Inc()
	q.mu.Unlock()
	second.ask(q)
	q.mu.Lock()
	switch {
	case !q.waiting && first.err == nil: // its answer is the one that counts
		second.give(balance.Abandoned, &q.tries)
	case second.err != nil:
		second.give(second.outcome, &q.tries)
	case q.waiting:
		q.overtaken = true
		first.end()
	}
}

// ask sends the request, and waits for the head of the answer.
func (s *share) ask(q *inquiry) {
	r := q.out.WithContext(s.ctx)
	url := *r.URL
	url.Host = s.lease.Address()
	r.URL, r.Host = &url, q.c.route.Service
	if q.c.whole != nil {
		r.Body = newWholeBody(q.c.whole)
	}
	s.began = time.Now()
	if s.response, s.err = q.c.h.Direct.Shared.RoundTrip(r); s.err == nil { //nolint:bodyclose // give closes it, or whoever reads it
		s.outcome = balance.Answered
		return
	}
	switch ended := q.c.ended(); {
	case ended != nil && !errors.Is(ended, context.DeadlineExceeded), s.ctx.Err() != nil && time.Since(s.began) < patientFor:
		s.outcome = balance.Abandoned
	case s.ctx.Err() == nil && balance.IsDial(s.err):
		s.outcome = balance.Unreachable
	default: // it broke, or nothing has come in good time
		s.outcome = balance.Broken
	}
}

// give gives up what is left of the answer, and says what it told about the instance.
func (s *share) give(outcome balance.Outcome, tries *balance.Tries) {
	if s.response != nil {
		_ = s.response.Body.Close()
	}
	s.end()
	s.lease.Done(outcome, tries, s.err)
}

// WriteTo implements io.WriterTo: what has arrived together is passed on together.
func (s *share) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, s.ReadCloser) }

// Close implements io.Closer.
func (s *share) Close() error {
	err := s.ReadCloser.Close()
	s.end()
	s.lease.Done(balance.Abandoned, nil, nil) // inquire has told that it answers
	return err
}
