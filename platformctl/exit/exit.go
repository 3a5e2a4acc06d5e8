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
	NotSignedIn = 5   // nobody is signed in, or not any more, or the password was wrong
	Denied      = 6   // the person who is signed in lacks a permission
	NotFound    = 7   // what the command is about does not exist
	Conflict    = 8   // it exists already, or its state does not allow this
	Invalid     = 9   // what was checked has faults, or the platform did not take what it was given
	Unavailable = 10  // the platform, or a part of it, does not answer, or not in time: try again
	Pending     = 11  // a check found something that is still to be done
	Tampered    = 12  // the audit log is not what was signed, or not what was seen before
	Interrupted = 130 // a signal ended it before its work was done (128 + SIGINT)
)

// Help explains the codes to a person.
const Help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the home folder is in use by another `up`, " +
	"4 no Consul, 5 not signed in, 6 a permission is missing, 7 not found, 8 it exists already or its state does not allow it, " +
	"9 what was checked or given has faults, 10 the platform does not answer, 11 a check found something to do, " +
	"12 the audit log was tampered with, " +
	"130 interrupted before the work was done."

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
