package balance

import (
	"errors"
	"fmt"
)

var (
	// ErrNoInstance is matched by the error for a service of which discovery shows no instance.
	ErrNoInstance = errors.New("no instance")

	// ErrUnreachable is matched by the error for a service whose instances could not be dialed. Nothing was sent.
	ErrUnreachable = errors.New("no instance can be reached")
)

// Error says that a request could not be sent to any instance. A server that sends on behalf of others answers it with
// "unavailable". It names addresses inside the platform, so it belongs in logs, not on the wire.
type Error struct {
	Service string
	Tried   int   // instances that were dialed
	Reason  error // ErrNoInstance or ErrUnreachable
	Cause   error // of the last instance, or why no instance is known; may be nil
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("balance: service %q: %v", e.Service, e.Reason)
	if e.Tried > 0 {
		text += fmt.Sprintf(" (%d tried)", e.Tried)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap makes errors.Is and errors.As find the reason and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Cause}
}
