// Package routes turns what services say about themselves, their manifests and schemas, into a table that says what
// the gateway does with a request. It knows neither discovery nor HTTP.
package routes

import (
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/balance"
)

// Route is what the gateway does with calls of one procedure. It is not changed once it is in a table.
type Route struct {
	// Procedure is `/package.Service/Method`.
	Procedure string
	// Service is the name of the service in discovery; empty for what the gateway itself serves.
	Service string
	// Versions are those of the service that are known to have the procedure; Only where another known one has not. An
	// instance of a version that has not said yet what it offers may offer something else. nil for what the gateway itself serves.
	Versions *balance.Versions
	// Access is what is asked of the caller: public, authenticated or permission. Other kinds are in no table.
	Access access.Kind
	// Stream says which sides send more than one message.
	Stream connect.StreamType
	// Safe says that the procedure has no side effects, and its caller sends one message: several instances may be asked.
	Safe bool
	// HedgeAfter is how long the answer to a call without side effects may take before another instance is asked, too;
	// 0: once the first has been silent for as long as one that is gone.
	HedgeAfter time.Duration
	// Timeout bounds a unary call; 0 means the gateway's own bound.
	Timeout time.Duration
	// StreamLimit bounds what each side of a stream may send, in place of the gateway's own bounds.
	StreamLimit StreamLimit
	// Quotas are what one caller may ask of the service, and of the procedure; each only where the manifest says so.
	Quotas []Quota
	// Priority says in which order calls are refused when the service is overloaded.
	Priority overload.Priority
	// Load is what is known of the load of the service; nil: nothing.
	Load *overload.Procedure
}

// Quota is what one caller may ask of something.
type Quota struct {
	Limit

	// Of is the name of the service, or the procedure; empty for the gateway as a whole.
	Of string
}

// StreamLimit bounds what each side of a stream may send. nil is the gateway's own bound, 0 is none.
type StreamLimit struct {
	Messages, Bytes *uint64
}

// Limit allows PerSecond requests each second, and Burst at once.
type Limit struct {
	PerSecond float64
	Burst     int
}

// Unary tells whether each side sends one message.
func (r *Route) Unary() bool { return r.Stream == connect.StreamTypeUnary }

// Get tells whether the procedure can be called with a Connect GET.
func (r *Route) Get() bool { return r.Safe && r.Unary() }

// OneRequest tells whether the caller sends a single message.
func (r *Route) OneRequest() bool { return r.Stream&connect.StreamTypeClient == 0 }

// Bidi tells whether both sides send more than one message, and may do so at the same time.
func (r *Route) Bidi() bool { return r.Stream == connect.StreamTypeBidi }
