package edge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/wire"
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
	begun    time.Time
	// span is nil where spans go nowhere; trace is what services are told.
	span  trace.Span
	trace trace.SpanContext
	// direct: the call's deadline is in the connections that it uses, and not in its context.
	direct bool
	// code is how the call ended, as far as is known.
	code string
	// cause is why the gateway itself ended the call; for logs.
	cause error
	timer timer
	// caller is a hash of who calls; slot is the call's place among those that the service works on.
	caller uint64
	slot   overload.Slot
	// giveUp ends the call, and says why; atEnd is what has to be undone then.
	giveUp   context.CancelCauseFunc
	atEnd    []func()
	request  requestBody
	response responseBody
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

// end tells how the call went.
func (c *call) end() {
	c.w.finish()
	c.leave()
	took := time.Since(c.begun)
	c.h.inFlight.Add(-1)
	c.h.metrics.of(c.name(), c.code, c.protocol).note(took)
	if c.span != nil {
		if c.span.IsRecording() {
			c.span.SetAttributes(attribute.String("rpc.method", c.name()), attribute.String("rpc.system", c.protocol.String()),
				attribute.String("rpc.code", c.code))
			if c.code != wire.OK {
				c.span.SetStatus(codes.Error, c.code)
			}
		}
		c.span.End()
	}
	if c.h.log.Enabled(context.Background(), slog.LevelDebug) {
		// No query (a Connect GET has its message there), no headers.
		c.h.log.DebugContext(c.traced(), "request", "procedure", c.name(), "protocol", c.protocol.String(), "code", c.code,
			"took", took, "client", c.r.RemoteAddr, "cause", c.cause)
	}
}

// refuse answers an error in the caller's protocol.
func (c *call) refuse(err error) {
	c.code, c.cause = codeOf(err), errors.Unwrap(err)
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		c.w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110, section 11.6.1
	}
	if wait, ok := retryAfter(err); ok {
		c.w.Header().Set("Retry-After", seconds(wait))
	}
	c.w.hurry()
	// The only thing that can go wrong is that the caller is gone.
	_ = c.h.errors.Write(c.w, c.r, err)
}

// refuseHTTP answers what is no RPC. It comes before anything that would give the caller time.
func (c *call) refuseHTTP(status int, header, value string) {
	c.code = "http_" + strconv.Itoa(status)
	c.w.hurry()
	if header != "" {
		c.w.Header().Set(header, value)
	}
	c.w.WriteHeader(status)
}

// ended is why the call was given up; nil while it goes on.
func (c *call) ended() error {
	if c.direct && !time.Now().Before(c.timer.deadline) {
		return context.DeadlineExceeded
	}
	return context.Cause(c.r.Context())
}

// failure is the error for a call that could not be passed on, or whose answer broke off.
func (c *call) failure(cause error) error {
	ended := c.ended()
	switch {
	case c.request.tooLarge.Load():
		return tooLarge(c.h.MaxMessageBytes)
	case errors.Is(ended, errStopping):
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable, "the gateway is stopping", rpcerror.Cause(cause))
	case errors.Is(ended, errTooOld):
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable, "the stream has lasted as long as it may; begin another",
			rpcerror.Cause(cause))
	case errors.Is(ended, errExpired):
		return tokenExpired(cause)
	case errors.Is(ended, context.DeadlineExceeded):
		return rpcerror.New(connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded, "the deadline has passed", rpcerror.Cause(cause))
	case ended != nil || c.request.broken.Load():
		return connect.NewError(connect.CodeCanceled, "the call was canceled").WithCause(cause)
	default:
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable,
			c.route.Service+" cannot be reached at the moment", rpcerror.Meta("service", c.route.Service), rpcerror.Cause(cause))
	}
}

// client is the address at the other end of the connection.
func (c *call) client() netip.Addr {
	address, err := netip.ParseAddrPort(c.r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr()
}

func codeOf(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return wire.OK
	}
	return connect.CodeOf(err).String()
}
