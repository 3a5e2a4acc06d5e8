// Package exit holds the exit codes of platformctl, so that scripts can tell one outcome from another, and the error
// that carries one from a command to main. It must not know any command.
package exit

import "errors"

// The exit codes. They are listed in `platformctl --help`; a code keeps its meaning for good.
const (
	OK          = 0   // done, or there was nothing to do
	Failure     = 1   // it did not work; the message says what, where and how to mend it
	Usage       = 2   // wrong flags, arguments or environment; nothing was done
	InUse       = 3   // another `platformctl up` runs on the same home folder
	NoConsul    = 4   // there is no Consul that answers, and none could be started
	Invalid     = 5   // what was checked has faults; they were printed, each with its place
	Interrupted = 130 // a signal ended it before its work was done (128 + SIGINT)
)

// Help explains the codes to a person.
const Help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the home folder is in use by another `up`, " +
	"4 no Consul, 5 what was checked has faults, 130 interrupted before the work was done."

// Error is an error with an exit code.
type Error struct {
	Code int
	Err  error // nil: everything has been said already
}

// With returns err with an exit code.
func With(code int, err error) error { return &Error{Code: code, Err: err} }

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the error without its code.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the exit code for the result of a command: OK for nil, and Failure for an error without a code.
func Code(err error) int {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Failure
}
