// Package dbstate is what the programs of services say about their databases, to platformctl and to people. It must not
// know a database.
package dbstate

// ExitPending is the exit code of `db migrate --check` where something is to be done.
const ExitPending = 11

// ExitRefused is the exit code of `db status` where the program does not start on the database.
const ExitRefused = 8

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
	// Refusal is why the program does not start on the database, and would not with the pending migrations applied either;
	// empty where it does.
	Refusal string `json:"refusal,omitempty"`
	// Bytes is how large the database is; of one that several services share, the service's own schema.
	Bytes int64 `json:"bytes"`
	// Connections is nil where a database has none to run out of, as a file.
	Connections *Connections `json:"connections,omitempty"`
}

// Connections are those of the service's role to a server.
type Connections struct {
	// Open are those of all instances of the service to this database, without the one that asks.
	Open int `json:"open"`
	// Most is how many the role may have, or, where that is less, the server: what others have counts against the latter.
	Most int `json:"most"`
}

// Newer says whether a later release of the service has been there. The program may be able to work with that: see Refusal.
func (s State) Newer() bool { return s.Version > s.Target }

// String sums it up for people.
func (s State) String() string {
	switch {
	case s.Refusal != "":
		return "refused"
	case len(s.Pending) > 0:
		return "pending"
	case s.Newer():
		return "newer, and usable"
	default:
		return "up to date"
	}
}
