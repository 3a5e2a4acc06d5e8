package main

import (
	"fmt"
	"strings"

	"ariga.io/atlas/sql/migrate"
)

// forwardOnly writes a plan as a migration for goose without a way back: undoing
// one would lose what was written since. Instances of the release before run on
// the new schema meanwhile (expand, then contract).
type forwardOnly struct{ version int64 }

// Format implements migrate.Formatter.
func (f forwardOnly) Format(plan *migrate.Plan) ([]migrate.File, error) {
	var text strings.Builder
	text.WriteString("-- +goose Up\n")
	for _, change := range plan.Changes {
		if len(change.Args) > 0 {
			return nil, fmt.Errorf("a statement with arguments cannot be written to a file: %s", change.Cmd)
		}
		// A change of a column in SQLite copies the table, with foreign keys off.
		// They cannot be switched inside the transaction that goose runs a
		// migration in; ent/migrate has them off all along and checks them after.
		if strings.HasPrefix(strings.ToLower(change.Cmd), "pragma foreign_keys") {
			continue
		}
		if change.Comment != "" {
			fmt.Fprintf(&text, "-- %s\n", change.Comment)
		}
		fmt.Fprintf(&text, "%s;\n", change.Cmd)
	}
	name := fmt.Sprintf("%d_%s.sql", f.version, plan.Name)
	return []migrate.File{migrate.NewLocalFile(name, []byte(text.String()))}, nil
}
