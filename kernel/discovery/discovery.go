package discovery

import "context"

// Instance is one running process (or part of one) that serves a service.
type Instance struct {
	ID       string            // unique in the whole platform, e.g. "identity-7f3a"
	Service  string            // name of the service, a DNS label
	Address  string            // host:port where RPCs are served, HTTP/1.1 and h2c
	Version  string            // version of the service, from its manifest; may be empty
	Metadata map[string]string // what else callers may want to know, e.g. zone or weight; may be nil
}

// Registration is what an instance tells the registry about itself.
type Registration struct {
	Instance

	// CheckURL answers 200 while the instance can serve; any other answer, or none, takes it out of the view. Empty: the
	// instance counts as healthy until it is deregistered.
	CheckURL string
}

// Registrar makes instances known. Its methods may be called from several goroutines.
type Registrar interface {
	// Register makes the instance visible, and keeps it so: a registry that loses it (restarts without its state) gets
	// it again without another call. Call it once the instance can serve. It is idempotent: registering an ID again
	// replaces what was registered under it. An error means that nothing is kept; it matches ErrInvalid if the
	// registration itself is wrong.
	Register(ctx context.Context, r Registration) error

	// Deregister takes the instance out, and stops keeping it registered even if it returns an error. An ID that is not
	// registered is no error. It takes no longer than ctx allows.
	Deregister(ctx context.Context, id string) error
}

// Directory shows who is there. Its methods may be called from several goroutines and return at once.
//
// Views are shared: whoever asks for the same one gets the same Watch, and the source behind it is asked once. A view
// is kept up to date from the first time it is asked for until the registry is closed, so ask for names that
// exist, not for whatever a stranger sends.
type Directory interface {
	// Instances is the view of the healthy instances of a service, sorted by ID; an empty list while there are none.
	Instances(service string) *Watch[[]Instance]

	// Services is the view of the names of all services of the platform that have a registered instance, healthy or
	// not, sorted.
	Services() *Watch[[]string]
}
