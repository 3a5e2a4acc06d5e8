// Package dbstate is what the programs of services say about their databases, to platformctl and to people. It must not
// know a database.
package dbstate

// ExitPending is the exit code of `db migrate --check` where something is to be done.
const ExitPending = 11

// State is how a service's database stands to the migrations of its program.
type State struct {
	Service string `json:"service"`
	// Database is its kind and its place, without the password.
	Database string `json:"database"`
	// Version is the newest migration that was applied, 0 where none was; Target is the newest that the program has.
	Version int64 `json:"version"`
	Target  int64 `json:"target"`
	// Pending are the migrations that were not applied, in order.
	Pending []string `json:"pending"`
	// Applied are those that this call has applied.
	Applied []string `json:"applied,omitempty"`
	// Bytes is how large the database is.
	Bytes int64 `json:"bytes"`
}

// Newer says whether a later release of the service has been there.
func (s State) Newer() bool { return s.Version > s.Target }

// String sums it up for people.
func (s State) String() string {
	switch {
	case s.Newer():
		return "newer than the program"
	case len(s.Pending) > 0:
		return "pending"
	default:
		return "up to date"
	}
}
