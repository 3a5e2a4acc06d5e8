package balance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ashlar.dev/kernel/discovery"
)

// maxTries is how many instances one request is offered to.
const maxTries = 3

// Transport is an http.RoundTripper whose hosts are services. It is safe for concurrent use, and has no goroutines of its own.
type Transport struct {
	directory discovery.Directory
	base      http.RoundTripper
	firstView time.Duration
	clock     func() time.Duration // the time since it was made, so that a clock that is set does not matter

	gone func(address string) // nil: nobody asks
	zone string               // of this process; empty where it has none

	shares   atomic.Pointer[map[string]Shares] // by service
	clusters sync.Map                          // name of a service → *cluster
}

// Option changes how a Transport works.
type Option func(*Transport)

// WithFirstView sets how long a request may wait for discovery to say anything about a service that has not been asked for
// before. The default is 2 s; the request's own context may end earlier.
func WithFirstView(d time.Duration) Option {
	return func(t *Transport) { t.firstView = d }
}

// WithGone sets what is told the address of an instance that discovery does not show any more: it gets no new request. It
// is told when the next request to the service is made, and must not block.
func WithGone(gone func(address string)) Option {
	return func(t *Transport) { t.gone = gone }
}

// WithZone sets the zone of this process: instances of the same zone are preferred.
func WithZone(zone string) Option {
	return func(t *Transport) { t.zone = zone }
}

// New returns a transport that finds instances in directory and sends through base, usually DefaultBase. base must report a
// failure to connect as a *net.OpError with Op "dial", as http.Transport does.
func New(directory discovery.Directory, base http.RoundTripper, options ...Option) *Transport {
	t := &Transport{directory: directory, base: base, firstView: 2 * time.Second}
	started := time.Now()
	t.clock = func() time.Duration { return time.Since(started) }
	for _, option := range options {
		option(t)
	}
	return t
}

type safeKey struct{}

// WithSafe returns a context whose requests have no side effects ("safe", RFC 9110, section 9.2.1), so that one of them that
// breaks is sent to another instance, as far as the budget for retries goes, if its body can be had again.
func WithSafe(ctx context.Context) context.Context { return context.WithValue(ctx, safeKey{}, true) }

// repeatable tells whether a request that was sent may be sent again.
func repeatable(req *http.Request) bool {
	safe, _ := req.Context().Value(safeKey{}).(bool)
	return safe && req.Context().Err() == nil && (req.Body == nil || req.Body == http.NoBody || req.GetBody != nil)
}

// RoundTrip implements http.RoundTripper. The host of req.URL is the name of a service, and each name is remembered: it
// must not come from a stranger. The request goes to an instance's address with the Host header that req asks for,
// or else the service's name. Beside the errors of the base transport it returns *Error.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := t.cluster(req.URL.Host)
	body := req.Body
	view, err := c.view(req.Context(), t.firstView)
	if err != nil {
		closeBody(body)
		return nil, err
	}
	tried := tried{versions: versionsOf(req.Context())}
	for {
		e := view.pick(t.now(), &tried)
		if e == nil {
			closeBody(body)
			return nil, tried.failure(c.service)
		}
		if tried.count == 0 {
			c.budget.deposit()
		}
		tried.add(e)
		c.counts.attempts.Add(1)
		a := newAttempt(req, body, e)
		a.received.tries = tried.count
		response, err := t.send(c, req, a)
		again := err != nil && (IsDial(err) || repeatable(req) && c.retry(&tried))
		if !again {
			a.sent.settle()
			return response, err
		}
		tried.cause = err
		if !a.sent.takeBack() {
			// It was sent, or the base had tried a connection that turned out to be closing, before it dialed a new one.
			a.sent.settle()
			if body, err = fresh(req); err != nil {
				return nil, tried.failure(c.service)
			}
		}
		view = c.current()
	}
}

// send sends a, which is for req, and notes what that tells about the endpoint.
func (t *Transport) send(c *cluster, req *http.Request, a *attempt) (*http.Response, error) {
	e := a.received.endpoint
	began := t.now()
	e.outstanding.Add(1)
	response, err := t.base.RoundTrip(&a.request)
	if err != nil {
		e.outstanding.Add(-1)
		if !IsDial(err) {
			if req.Context().Err() == nil && !a.sent.failed.Load() {
				c.broke(e, began)
			}
			return nil, err
		}
		if req.Context().Err() != nil { // a dial given up by the caller says nothing about the instance
			return nil, req.Context().Err()
		}
		c.failed(e, began)
		return nil, err
	}
	e.reached(began, t.now())
	a.received.over(response)
	response.Request = req
	return response, nil
}

// CloseIdleConnections closes what the base transport keeps open but does not use. http.Client calls it.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func (t *Transport) cluster(service string) *cluster {
	known, found := t.clusters.Load(service)
	if !found {
		known, _ = t.clusters.LoadOrStore(service, newCluster(service, t))
	}
	c, _ := known.(*cluster) // nothing else is stored
	return c
}

// now is the time since t was made.
func (t *Transport) now() time.Duration { return t.clock() }

// IsDial reports whether err means that no connection could be made, so that nothing was sent.
func IsDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// fresh returns the body of req once more.
func fresh(req *http.Request) (io.ReadCloser, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("the body cannot be had again")
	}
	return req.GetBody()
}

func closeBody(body io.ReadCloser) {
	if body != nil {
		_ = body.Close() // as every RoundTripper must, errors included
	}
}
