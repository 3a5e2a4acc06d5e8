package edge

import (
	"net/http"
	"slices"
	"time"

	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/wire"
)

// Settings is what can change while the gateway runs.
type Settings struct {
	// MaxTimeout bounds unary calls, whatever the caller or a manifest says.
	MaxTimeout time.Duration
	// CORSOrigins are the origins whose scripts may call.
	CORSOrigins []string
	// RateLimit holds for all that one caller asks; one of zero requests a second is none.
	RateLimit routes.Limit
	// MaxStreams is how many streams one caller may have open; 0: no bound.
	MaxStreams int
	// StreamBounds is what each side of a stream may send, where the manifest does not say.
	StreamBounds wire.Bounds
	// Addresses says where callers are, and which may call.
	Addresses Addresses
	// AccessLog says which calls are logged.
	AccessLog AccessLog
	// MaxInFlight is how many requests may be under way, streams included; 0: no bound.
	MaxInFlight int
	// NoShedding: calls are passed on to a service however busy it is.
	NoShedding bool
}

// current is what is made of settings, once for all requests.
type current struct {
	root        http.Handler
	maxTimeout  time.Duration
	addresses   Addresses
	crossSite   crossSite
	access      sampling
	maxInFlight int64
	noShedding  bool
	// streamBounds is StreamBounds.
	streamBounds wire.Bounds
}

// Apply lets settings hold for requests that begin from now on; those that are under way keep what they began with. It
// is safe for concurrent use with requests.
func (h *Handler) Apply(s Settings) {
	h.Limits.SetStandard(s.RateLimit)
	h.Streams.SetEach(s.MaxStreams)
	next := &current{root: http.HandlerFunc(h.dispatch), maxTimeout: s.MaxTimeout, addresses: s.Addresses, access: s.AccessLog.sampling(), maxInFlight: int64(s.MaxInFlight), noShedding: s.NoShedding, streamBounds: s.StreamBounds}
	origins := newCORS(s.CORSOrigins)
	if origins != nil {
		next.root = origins.Handler(next.root)
	}
	if slices.Contains(s.CORSOrigins, "*") {
		origins = nil // everybody may call, but nobody with the cookies of others
	}
	next.crossSite = newCrossSite(origins)
	h.current.Store(next)
}
