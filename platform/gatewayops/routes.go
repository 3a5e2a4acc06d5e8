// Package gatewayops is the form of what a gateway says of itself on its operations listener: for the gateway, which writes it,
// and for tools, which read it. Names in JSON stay.
package gatewayops

import "time"

// RoutesPath is where Routes are, and ExplainPath an Explanation of `?method=…&path=…`.
const (
	RoutesPath  = "/routes"
	ExplainPath = "/routes/explain"
)

// Routes is what goes where, and why.
type Routes struct {
	// Gateway is the id of the instance that says so.
	Gateway  string    `json:"gateway"`
	Version  string    `json:"version"`
	Time     time.Time `json:"time"`
	Services []Service `json:"services"`
}

// The states of a service.
const (
	StateRouted      = "routed"
	StateNotExposed  = "not_exposed" // its manifest says so
	StateRefused     = "refused"     // nothing of it is routed; Why says for what reason
	StateUnreachable = "unreachable" // its manifest could not be got yet
)

// Service is a service that discovery shows, or that was there once, or the gateway itself.
type Service struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // of the manifest that holds
	State   string `json:"state"`
	// Why is what is wrong: with a newer manifest, where the state is StateRouted.
	Why       string     `json:"why,omitempty"`
	Instances []Instance `json:"instances"`
	// InFlight is how many unary calls it works on, and Limit how many it may work on at a time; 0 while there is no limit, as
	// there is none but under overload.
	InFlight   int64       `json:"inFlight"`
	Limit      int64       `json:"limit,omitempty"`
	Procedures []Procedure `json:"procedures"`
	// Internal are procedures that only services may call, so that there is no route.
	Internal []string `json:"internal,omitempty"`
}

// The states of an instance.
const (
	InstanceReady     = "ready"
	InstanceSlowStart = "slow_start" // gets less than its share, for ForMS
	InstanceProbation = "probation"  // is passed over, for ForMS
	InstanceProbing   = "probing"    // one request finds out whether it is back
)

// Instance is one process of a service.
type Instance struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Version string `json:"version,omitempty"`
	Zone    string `json:"zone,omitempty"`
	State   string `json:"state"`
	// ForMS is how many milliseconds the state still lasts; 0 where that is not known.
	ForMS int64 `json:"forMs,omitempty"`
	// Outstanding is how many requests are under way.
	Outstanding int64 `json:"outstanding"`
	// Failures is how often in a row it was put into probation.
	Failures int `json:"failures,omitempty"`
}

// Procedure is what can be called.
type Procedure struct {
	Procedure string `json:"procedure"`
	Access    string `json:"access"`
	// Stream is unary, client, server or bidi.
	Stream string `json:"stream"`
	// Get: it has no side effects, so that it can be called by GET.
	Get       bool  `json:"get"`
	TimeoutMS int64 `json:"timeoutMs,omitempty"` // of the manifest
	// UsualMS is how long a call takes while there are few others, as far as is known.
	UsualMS float64 `json:"usualMs,omitempty"`
	// HedgeAfterMS is after which silence another instance is asked, too, where the manifest says so.
	HedgeAfterMS int64   `json:"hedgeAfterMs,omitempty"`
	Limits       []Limit `json:"limits,omitempty"` // of the manifest
	// StreamMessages and StreamBytes are what each side of a stream may send, where the manifest says so; 0: no bound.
	StreamMessages *uint64 `json:"streamMessages,omitempty"`
	StreamBytes    *uint64 `json:"streamBytes,omitempty"`
	// Priority is low, normal or high: what is refused first, or last, under overload.
	Priority string `json:"priority"`
	// Versions are those of the service that have it; empty where all do.
	Versions []string `json:"versions,omitempty"`
	Aliases  []string `json:"aliases,omitempty"` // further paths
}

// Limit is what one caller may ask for.
type Limit struct {
	// Of is the service, or the procedure.
	Of        string  `json:"of"`
	PerSecond float64 `json:"perSecond"`
	Burst     int     `json:"burst"`
}

// Explanation is what a gateway would do with a request.
type Explanation struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// Taken: there is a route that takes it.
	Taken bool `json:"taken"`
	// Service and Procedure are where it goes, or what comes nearest.
	Service   string `json:"service,omitempty"`
	Procedure string `json:"procedure,omitempty"`
	// Why says so in words.
	Why string `json:"why"`
}
