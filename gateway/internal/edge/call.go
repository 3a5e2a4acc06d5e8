package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"ashlar.dev/gateway/internal/live"
	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
)

// unknownName stands for procedures that are in no table, so that strangers cannot make up metrics.
const unknownName = "unknown"

// call is one request on its way through the gateway. It belongs to the goroutine of the request.
type call struct {
	h        *Handler
	w        *peer
	r        *http.Request
	route    *routes.Route // nil where there is none
	protocol wire.Protocol
	// rest: the request has been translated, and the answer will be.
	rest  bool
	begun time.Time
	// span is nil where spans go nowhere; trace is what services are told.
	span  trace.Span
	trace trace.SpanContext
	// direct: the call's deadline is in the connections that it uses, and not in its context.
	direct bool
	// code is how the call ended, as far as is known.
	code string
	// refused: the gateway answered it itself, for this reason where it has one; cause is for logs.
	refused bool
	reason  string
	cause   error
	// charged: the call has been taken from a rate limit, or is not to be.
	charged bool
	// principal is who calls, as far as that had to be proved.
	principal authn.Principal
	// instance is where the call went last; attempts is how many it was offered to.
	instance string
	attempts int
	// keep: the answer may be kept; cached: it was.
	keep, cached bool
	// landed tells those who wait for the same answer that it is there, or will not be; nil where nobody does.
	landed func()
	// live is what operators see of a stream; nil where nobody looks.
	live  *live.Stream
	timer timer
	// caller is a hash of who calls; slot is the call's place among those that the service works on.
	caller uint64
	slot   overload.Slot
	// giveUp ends the call, and says why; atEnd is what has to be undone then.
	giveUp  context.CancelCauseFunc
	atEnd   []func()
	request requestBody
	reply   reply
	// whole is the request, where it has been read as a whole and goes over a connection that calls share; inquiry is nil
	// where one instance only may be asked.
	whole   []byte
	inquiry atomic.Pointer[inquiry]
}

type callKey struct{}

// callOf returns the call that a context belongs to; nil where there is none.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// begin starts to count, and a trace.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, route *routes.Route) *call {
	c := &call{h: h, w: newPeer(w, r), r: r, route: route, protocol: wire.ProtocolOf(r), begun: time.Now(), code: connect.CodeCanceled.String()}
	c.startTrace()
	h.inFlight.Add(1)
	return c
}

// name is the procedure as metrics know it.
func (c *call) name() string {
	if c.route == nil {
		return unknownName
	}
	return c.route.Procedure
}

// spoken is the protocol as metrics and logs know it.
func (c *call) spoken() wire.Protocol {
	if c.rest {
		return wire.REST
	}
	return c.protocol
}

// end tells how the call went.
func (c *call) end() {
	c.w.finish()
	c.leave()
	took := time.Since(c.begun)
	c.h.inFlight.Add(-1)
	c.h.metrics.of(c.name(), c.code, c.spoken()).note(took)
	if c.span != nil {
		if c.span.IsRecording() {
			c.span.SetAttributes(attribute.String("rpc.method", c.name()), attribute.String("rpc.system", c.spoken().String()),
				attribute.String("rpc.code", c.code))
			if c.code != wire.OK {
				c.span.SetStatus(codes.Error, c.code)
			}
		}
		c.span.End()
	}
	c.log(took)
}

// note keeps with what error, and for which reason, the gateway ends the call.
func (c *call) note(err error, reason string) {
	c.code, c.cause, c.reason = codeOf(err), errors.Unwrap(err), reason
	if connect.CodeOf(err) != connect.CodeCanceled { // the caller gave up, and nobody refused him anything
		c.refused = true
		c.h.metrics.refused.WithLabelValues(reason).Inc()
	}
}

// refuse answers an error in the caller's protocol.
func (c *call) refuse(err error) {
	if limited := c.charge(); limited != nil {
		err = limited
	}
	reason, wait := explained(err)
	c.note(err, reason)
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		c.w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110, section 11.6.1
	}
	if wait > 0 {
		c.w.Header().Set("Retry-After", seconds(wait))
	}
	c.w.hurry()
	// The only thing that can go wrong is that the caller is gone.
	_ = c.h.errors.Write(c.w, c.r, err)
}

// refuseHTTP answers what is no RPC. It comes before anything that would give the caller time.
func (c *call) refuseHTTP(status int, header, value string) {
	if header != "" {
		c.w.Header().Set(header, value)
	}
	if limited := c.charge(); limited != nil {
		if c.protocol == wire.None {
			c.refuseREST(http.StatusTooManyRequests, limited)
		} else {
			c.refuse(limited)
		}
		return
	}
	c.code, c.refused = "http_"+strconv.Itoa(status), true
	c.w.hurry()
	c.w.WriteHeader(status)
}

// ended is why the call was given up; nil while it goes on.
func (c *call) ended() error {
	if c.direct && c.timer.passed() {
		return context.DeadlineExceeded
	}
	return context.Cause(c.r.Context())
}

// failure is the error for a call that could not be passed on, or whose answer broke off.
func (c *call) failure(cause error) error {
	ended := c.ended()
	refusal, refused := errors.AsType[*connect.Error](ended)
	switch {
	case refused: // it was given up for what the caller is to be told
		return refusal
	case c.request.tooLarge.Load():
		return tooLarge(c.h.MaxMessageBytes)
	case errors.Is(ended, errStopping):
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable, "the gateway is stopping", rpcerror.Cause(cause))
	case errors.Is(ended, errTooOld):
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable, "the stream has lasted as long as it may; begin another",
			rpcerror.Cause(cause))
	case errors.Is(ended, errExpired):
		return tokenExpired(cause)
	case errors.Is(ended, context.DeadlineExceeded),
		// Connections have deadlines, too, and may be first; net/http cancels the request then.
		(ended == nil || errors.Is(ended, context.Canceled)) && c.timer.passed():
		return rpcerror.New(connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded, "the deadline has passed", rpcerror.Cause(cause))
	case ended != nil || c.request.broken.Load():
		return connect.NewError(connect.CodeCanceled, "the call was canceled").WithCause(cause)
	default:
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable,
			c.route.Service+" cannot be reached at the moment", rpcerror.Meta("service", c.route.Service), rpcerror.Cause(cause))
	}
}

func codeOf(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return wire.OK
	}
	return connect.CodeOf(err).String()
}
