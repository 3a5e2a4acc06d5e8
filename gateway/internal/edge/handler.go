// Package edge takes requests from outside: it finds the route, checks who calls and how often, bounds what may be
// sent and how long it may take, and passes the call on, in whichever protocol it came. It knows no service by name and
// does not know how routes are learned.
package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"go.opentelemetry.io/otel/trace"

	"ashlar.dev/gateway/internal/cache"
	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/live"
	"ashlar.dev/gateway/internal/rest"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/telemetry"
)

// aliasQuery is the Connect GET that an alias stands for: an empty message in JSON.
const aliasQuery = "connect=v1&encoding=json&message=%7B%7D"

// streamAge is how long a stream may last whose caller need not say who he is: nothing else would end it.
const streamAge = 10 * time.Minute

// Why the gateway ends streams.
var (
	errStopping = errors.New("the gateway is stopping")
	errTooOld   = errors.New("the stream has lasted as long as a public stream may")
	errExpired  = errors.New("the access token has expired")
)

// APIKeys gets access tokens for API keys. It is safe for concurrent use.
type APIKeys interface {
	// Known tells whether Token asks nobody for the key.
	Known(secret string) bool
	Token(ctx context.Context, secret string) (string, error)
}

// Parts is what a handler is made of.
type Parts struct {
	Tables func() *routes.Table
	Tokens access.TokenVerifier
	// APIKeys gets access tokens for API keys; nil: none are known.
	APIKeys APIKeys
	Limits  *limit.Limiter
	// Streams bounds how many streams one caller has open; nil: no bound.
	Streams *limit.Streams
	// Own serves the procedures whose route names no service.
	Own http.Handler
	// RoundTripper sends a request to an instance of the service that the URL's host names. Where the body of a response
	// implements io.WriterTo, each piece that it writes is passed on at once.
	RoundTripper http.RoundTripper
	// Direct sends what it can in place of RoundTripper; nil: nothing.
	Direct *Direct
	// Cache keeps answers to GETs; nil: none are kept.
	Cache *cache.Cache
	// Live is told of streams; nil: nobody is.
	Live      *live.Registry
	Status    *health.Status
	Telemetry *telemetry.Telemetry
	// Documents serves what describes all this to people and programs; nil: nothing does.
	Documents Documents
	// REST translates requests for paths that are no procedures; nil: there are none.
	REST *rest.Translator
	// MaxMessageBytes bounds the requests that consist of one message.
	MaxMessageBytes int64
	Settings        Settings
}

// Documents is what the gateway serves that is no call.
type Documents interface {
	http.Handler

	// Serves tells whether a path is one of them.
	Serves(path string) bool
}

// Handler serves requests from outside. It is safe for concurrent use.
type Handler struct {
	Parts

	// current is what holds for requests that begin now.
	current atomic.Pointer[current]
	// inFlight is how many requests are under way, streams included.
	inFlight atomic.Int64
	probes   *http.ServeMux
	errors   *connecthttp.ErrorWriter
	metrics  *metrics
	tracer   trace.Tracer
	access   *accessLog
	log      *slog.Logger
	stopping context.Context
	stop     context.CancelFunc
	// streamAge and stallTime are the constants of these names; tests have less time.
	streamAge, stallTime time.Duration
}

// New returns a handler.
func New(parts Parts) (*Handler, error) {
	accessLog, err := newAccessLog(parts.Telemetry)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		Parts: parts, probes: http.NewServeMux(), errors: connecthttp.NewErrorWriter(), access: accessLog,
		tracer: parts.Telemetry.Traces.Tracer("ashlar.dev/gateway"), log: parts.Telemetry.Log,
		streamAge: streamAge, stallTime: stallTime,
	}
	h.metrics, err = newMetrics(parts.Telemetry.Metrics, func() float64 { return float64(parts.Tables().Procedures()) },
		func() float64 { return float64(h.inFlight.Load()) })
	if err != nil {
		return nil, err
	}
	if h.Streams == nil {
		h.Streams = limit.NewStreams()
	}
	h.stopping, h.stop = context.WithCancel(context.Background())
	parts.Status.Mount(h.probes)
	h.Apply(parts.Settings)
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := h.current.Load()
	if cancelledBefore(r) {
		last, revived, end := revive(w, r, now.maxTimeout)
		defer end()
		w, r = last, revived
	}
	if !now.addresses.none() && !now.addresses.place(r) {
		c := h.begin(w, r, nil) //nolint:contextcheck // the request has it
		c.charged = true        // it is not worth a bucket
		c.refuse(addressDenied())
		c.end() //nolint:contextcheck // the context is the call's own
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		newPeer(w, r).hurry() // it is answered at once, or refused
	}
	now.root.ServeHTTP(w, r)
}

// EndStreams ends the streams that are under way with unavailable; unary calls go on.
func (h *Handler) EndStreams() { h.stop() }

// dispatch finds out what a request is for.
func (h *Handler) dispatch(w http.ResponseWriter, r *http.Request) {
	// What is escaped is not exact: `/a%2fb` and `/a/b` must not be two names of one thing.
	exact := r.URL.RawPath == ""
	if exact && (r.URL.Path == "/healthz" || r.URL.Path == "/readyz") {
		newPeer(w, r).hurry()
		h.probes.ServeHTTP(w, r)
		return
	}
	sanitize(r.Header)
	table := h.Tables()
	var route *routes.Route
	if exact {
		route = table.Route(r.URL.Path)
		if alias := table.Alias(r.URL.Path); route == nil && alias != nil {
			h.alias(w, r, alias)
			return
		}
	}
	c := h.begin(w, r, route) //nolint:contextcheck // the request has it
	defer c.end()             //nolint:contextcheck // the context is the call's own
	if route == nil {
		c.translate()
		return
	}
	if c.acceptable() {
		c.serve() //nolint:contextcheck // the context is the call's own
	}
}

// alias answers a well-known path with the side-effect-free procedure that it stands for.
func (h *Handler) alias(w http.ResponseWriter, r *http.Request, route *routes.Route) {
	url := *r.URL
	url.Path, url.RawQuery = route.Procedure, aliasQuery
	r = r.Clone(r.Context())
	r.URL = &url
	c := h.begin(w, r, route) //nolint:contextcheck // the request has it
	defer c.end()             //nolint:contextcheck // the context is the call's own
	if r.Method != http.MethodGet {
		c.refuseHTTP(http.StatusMethodNotAllowed, "Allow", http.MethodGet)
		return
	}
	if c.acceptable() {
		c.serve() //nolint:contextcheck // the context is the call's own
	}
}

// unknown answers what is not there. Internal procedures and those of services that are not exposed are in no table, so
// that they cannot be told from procedures that do not exist.
func (c *call) unknown() {
	rpc := c.protocol != wire.None
	if c.protocol == wire.ConnectGet {
		rpc = c.r.URL.Query().Has("encoding") // a browser that looks for a page is no RPC client
	}
	if !rpc {
		c.refuseREST(http.StatusNotFound, unknownPath())
		return
	}
	c.refuse(unknownProcedure())
}

// acceptable answers requests whose form no service would take, and tells whether the request is none of them. The
// answers are those of the services, which never see such a request.
func (c *call) acceptable() bool {
	r := c.r
	switch {
	case r.Method == http.MethodGet && !c.route.Get(), r.Method != http.MethodGet && r.Method != http.MethodPost:
		allow := http.MethodPost
		if c.route.Get() {
			allow = "GET, POST"
		}
		c.refuseHTTP(http.StatusMethodNotAllowed, "Allow", allow)
	case r.Method == http.MethodGet && c.hasBody():
		c.refuseHTTP(http.StatusUnsupportedMediaType, "", "")
	case c.protocol == wire.None:
		c.refuseHTTP(http.StatusUnsupportedMediaType, "Accept-Post",
			"application/json, application/proto, application/connect+json, application/connect+proto, application/grpc, application/grpc-web")
	case c.route.Bidi() && r.ProtoMajor < 2:
		// Both sides of HTTP/1.1 would wait for each other; closing the connection wakes the caller.
		c.refuseHTTP(http.StatusHTTPVersionNotSupported, "Connection", "close")
	default:
		return true
	}
	return false
}

// serve passes the guards and then the call.
func (c *call) serve() {
	if c.crowded() {
		c.charged = true // which is no fault of the caller's
		c.refuse(c.overloaded("gateway"))
		return
	}
	if c.isDirect() {
		c.serveDirect()
		return
	}
	cancel, err := c.bound()
	defer cancel()
	if err != nil {
		c.refuse(err)
		return
	}
	if err := c.admit(); err != nil {
		c.refuse(err)
		return
	}
	if c.r.Method == http.MethodPost {
		c.r.URL.RawQuery, c.r.URL.ForceQuery = "", false
	}
	if err := c.limitBody(); err != nil {
		c.refuse(err)
		return
	}
	// Before the service has a place for it: whoever sends slowly takes none from others.
	if c.rest && !c.readTranslated() {
		return
	}
	if c.route.OneRequest() && c.route.Service != "" {
		if err := c.gather(); err != nil {
			c.refuse(c.failure(err))
			return
		}
	}
	if err := c.enter(); err != nil {
		c.refuse(err)
		return
	}
	if !c.route.Unary() {
		c.w.fullDuplex(c.request.whole.Load)
	}
	if c.route.Service == "" {
		c.code = wire.Unread
		c.h.Own.ServeHTTP(c.w, c.r)
		return
	}
	c.forward()
}

// Outcome is the interceptor by which what the gateway itself serves tells how a call ended.
func Outcome(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		err := next(ctx, spec, stream)
		if c := callOf(ctx); c != nil {
			if err != nil && c.ended() != nil { //nolint:contextcheck // the context is the call's own
				err = c.failure(err) //nolint:contextcheck // as above
			}
			c.code = codeOf(err)
		}
		return err
	}
}
