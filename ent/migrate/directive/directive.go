// Package directive reads what the author of a migration says to Ashlar in its
// comments. It must not know a database.
package directive

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Contract says that a migration takes away what the release before may use.
type Contract struct {
	// Since is the migration that programs must have to work without what is
	// taken away; 0 where only programs that have the migration itself can.
	Since int64
	// Reason is why it is taken away nevertheless.
	Reason string
}

// form are the ways to write it:
//
//	-- ashlar:contract since=20261124170000: no program reads users.deactivated any more
//	-- ashlar:contract: the service was never released
var form = regexp.MustCompile(`^contract(?: since=([0-9]{1,18}))?: *(.*)$`)

const prefix = "ashlar:"

// Read returns what a migration says, or nil where it says nothing. A comment
// that begins with ashlar: and cannot be read is an error: passed over, it would
// let a program onto a schema that it cannot work with.
func Read(migration string) (*Contract, error) {
	var found *Contract
	for line := range strings.Lines(migration) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
		if !ok {
			continue
		}
		said, ok := strings.CutPrefix(strings.TrimSpace(comment), prefix)
		if !ok {
			continue
		}
		parts := form.FindStringSubmatch(said)
		switch {
		case parts == nil:
			return nil, fmt.Errorf("%q cannot be read: write -- ashlar:contract since=VERSION: why, or -- ashlar:contract: why", prefix+said)
		case parts[2] == "":
			return nil, fmt.Errorf("%q gives no reason: write -- ashlar:contract since=VERSION: why", prefix+said)
		case found != nil:
			return nil, errors.New("ashlar:contract is there twice: one for the whole migration is enough")
		}
		found = &Contract{Reason: parts[2]}
		if parts[1] == "" {
			continue
		}
		since, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil || since == 0 {
			return nil, fmt.Errorf("since=%s is not the version of a migration", parts[1])
		}
		found.Since = since
	}
	return found, nil
}
