// Package setting holds what auth does otherwise in tests, and what nobody can configure.
package setting

import (
	"time"

	"ashlar.dev/services/auth/internal/password"
)

// Set is one set of settings.
type Set struct {
	Clock     func() time.Time
	Passwords password.Params
}

// Default is what a platform runs with.
func Default() Set { return Set{Clock: time.Now, Passwords: password.DefaultParams} }

// Cheap is for tests: hashing takes no time, and protects nothing.
func Cheap() Set {
	return Set{Clock: time.Now, Passwords: password.Params{Memory: 64, Passes: 1, Threads: 1}}
}
