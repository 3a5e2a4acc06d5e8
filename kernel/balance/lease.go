package balance

import (
	"context"
	"time"
)

// Tries holds the instances that one request was offered to. The zero value is a request that was offered to none.
type Tries struct{ tried tried }

// TriesOf returns that of a request which instances of these versions can serve; nil: all can.
func TriesOf(versions *Versions) Tries { return Tries{tried{versions: versions}} }

// Left tells whether the request may be offered to one more.
func (t *Tries) Left() bool { return t.tried.count < maxTries }

// Cause is why the last of them failed.
func (t *Tries) Cause() error { return t.tried.cause }

// Outcome is what a request told about an instance.
type Outcome int

const (
	// Abandoned tells nothing: the caller gave up, or nothing was asked of the instance.
	Abandoned Outcome = iota
	// Answered says that the instance works.
	Answered
	// Unreachable says that it could not be dialed: nothing was sent.
	Unreachable
	// Broken says that it was sent a request, and the connection broke, or what came was no answer, or nothing came in
	// good time.
	Broken
)

// Lease is an instance that a request goes to, for those who send it themselves.
type Lease struct {
	transport *Transport
	cluster   *cluster
	endpoint  *endpoint
	began     time.Duration
}

// Lease picks an instance of a service for a request, other than those in tries, and adds it there. The request counts
// as outstanding until Done. It fails with *Error, or with that of ctx. The name of the service must not come from a
// stranger.
func (t *Transport) Lease(ctx context.Context, service string, tries *Tries) (Lease, error) {
	c := t.cluster(service)
	v, err := c.view(ctx, t.firstView)
	if err != nil {
		return Lease{}, err
	}
	now := t.now()
	e := v.pick(now, &tries.tried)
	if e == nil {
		return Lease{}, tries.tried.failure(service)
	}
	if tries.tried.count == 0 {
		c.budget.deposit()
	}
	tries.tried.add(e)
	c.counts.attempts.Add(1)
	e.outstanding.Add(1)
	return Lease{transport: t, cluster: c, endpoint: e, began: now}, nil
}

// Address is where the instance is: host and port.
func (l Lease) Address() string { return l.endpoint.address }

// Instance is the id of the instance.
func (l Lease) Instance() string { return l.endpoint.id }

// Answering says that the instance has begun to answer, where that may last: until Done, nobody would know that it works.
// Done is told Abandoned afterwards, as there is nothing left to tell.
func (l Lease) Answering() { l.endpoint.reached(l.began, l.transport.now()) }

// Done ends the request, once, and says what it told about the instance; cause is why it failed.
func (l Lease) Done(outcome Outcome, tries *Tries, cause error) {
	l.endpoint.outstanding.Add(-1)
	switch outcome {
	case Answered:
		l.endpoint.reached(l.began, l.transport.now())
	case Unreachable:
		tries.tried.cause = cause
		l.cluster.failed(l.endpoint, l.began)
	case Broken:
		tries.tried.cause = cause
		l.cluster.broke(l.endpoint, l.began)
	case Abandoned:
	}
}

// Retry tells whether a request that failed, and whose effects are known to be none, may be sent to another instance: only
// so many are, for each that comes, so that a service in trouble is not drowned in repetitions. Where there is no other
// instance, that costs nothing.
func (l Lease) Retry(tries *Tries) bool {
	return l.cluster.retry(&tries.tried)
}
