package edge

import (
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/rpcerror"
)

// backAfter is when those who were refused because there were too many should come again.
const backAfter = time.Second

var started = time.Now()

// sinceStart is a time that only goes forward, and is above zero.
func sinceStart() time.Duration { return max(time.Since(started), 1) }

// crowded tells whether there are more requests than the gateway may have. What is important has an eighth more, and so
// does what the gateway itself serves: health, above all.
func (c *call) crowded() bool {
	most := c.h.current.Load().maxInFlight
	if most == 0 {
		return false
	}
	if c.route.Priority == overload.High || c.route.Service == "" {
		most += most/8 + 1
	}
	return c.h.inFlight.Load() > most
}

// enter takes a place among the calls that the service works on. A stream takes none, because it may last for as long as
// it likes; it is refused where a call would be.
func (c *call) enter() error {
	load := c.route.Load
	if load == nil || c.h.current.Load().noShedding {
		return nil
	}
	if !c.route.Unary() {
		if load.Service().Busy(c.route.Priority) {
			return c.overloaded(c.route.Service)
		}
		return nil
	}
	var ok bool
	if c.slot, ok = load.Enter(c.caller, c.route.Priority); !ok {
		return c.overloaded(c.route.Service)
	}
	return nil
}

// answeredWith gives up the place: the service has begun to answer. since is when it had the whole request, as sinceStart
// says it; 0: not known. What gRPC and gRPC-Web answer is in the end of it, and settle is told.
func (c *call) answeredWith(status int, since int64) {
	switch {
	case since > 0:
		c.slot.Release(sinceStart() - time.Duration(since))
	case c.direct:
		c.slot.Release(c.slot.Age())
	default:
		c.slot.Forget() // the caller still sends
	}
	switch {
	case status == http.StatusGatewayTimeout:
		c.settle(deadlineExceeded)
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == statusCanceled:
		c.slot.Forget()
	case !c.protocol.Framed():
		c.learn()
	}
}

// Codes of errors as calls end with them, and what Connect's status is for canceled.
var (
	canceled         = connect.CodeCanceled.String()
	deadlineExceeded = connect.CodeDeadlineExceeded.String()
	failures         = []string{
		connect.CodeUnknown.String(), connect.CodeInternal.String(), connect.CodeDataLoss.String(), connect.CodeUnimplemented.String(),
		connect.CodeUnavailable.String(), connect.CodeResourceExhausted.String(), canceled, wire.Unread,
	}
)

const statusCanceled = 499

// settle learns from a whole answer that has this code. What a service refuses, or fails at, says nothing about how long it
// takes, but for a deadline that has passed.
func (c *call) settle(code string) {
	switch {
	case code == deadlineExceeded:
		c.abandon()
	case slices.Contains(failures, code):
		c.slot.Forget()
	default:
		c.learn()
	}
}

// learn notes how long the service took.
func (c *call) learn() {
	if c.attempts > 1 {
		c.slot.Forget() // most of the time it waited for an instance that did not answer
		return
	}
	c.slot.Learn()
}

// leave ends what is left of the place: the service has not answered, or its answer broke off.
func (c *call) leave() {
	if c.slot.Waiting() && (c.code == deadlineExceeded || c.code == canceled) {
		c.abandon()
	}
	c.slot.Forget()
}

// abandon gives up the place of a call that took too long. Whoever sends slowly, or not at all, must not make a service
// look slow.
func (c *call) abandon() {
	if c.direct || c.request.whole.Load() {
		c.slot.Abandon()
	}
	c.slot.Forget()
}

func (c *call) overloaded(service string) error {
	c.h.metrics.shed.WithLabelValues(service).Inc()
	return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonOverloaded, "too many requests are under way; try again later",
		rpcerror.Meta("service", service), rpcerror.RetryAfter(backAfter))
}
