package main

import (
	"fmt"
	"os"

	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect/sql/schema"
)

// destruction keeps changes that lose data out of migrations, and says so.
type destruction struct {
	name  string // of the dialect, for the notice
	allow bool
}

func (d destruction) hook(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
		changes, err := next.Diff(current, desired)
		if err != nil {
			return nil, err
		}
		var kept []atlas.Change
		for _, change := range changes {
			switch change := change.(type) {
			case *atlas.DropTable:
				// Never planned, even when allowed: a table may be there that the
				// schema does not know, made by a migration written by hand.
				d.noticef("the table %s is in the migrations and not in the schema; to drop it, write the migration by hand", change.T.Name)
			case *atlas.ModifyTable:
				change.Changes = d.columns(change.T, change.Changes)
				if len(change.Changes) > 0 {
					kept = append(kept, change)
				}
			default:
				kept = append(kept, change)
			}
		}
		return kept, nil
	})
}

// columns filters the changes of one table.
func (d destruction) columns(table *atlas.Table, changes []atlas.Change) []atlas.Change {
	if d.allow {
		return changes
	}
	var kept []atlas.Change
	for _, change := range changes {
		switch change := change.(type) {
		case *atlas.DropColumn:
			d.noticef("the column %s.%s stays, though the schema no longer has it; drop it in a later release with --allow-destructive", table.Name, change.C.Name)
			// SQLite changes a table by copying what the wanted one has.
			table.AddColumns(change.C)
			if !change.C.Type.Null && change.C.Default == nil {
				d.noticef("the column %s.%s is NOT NULL and has no default: code without it cannot insert. Make it optional in the schema first, release, and remove it then", table.Name, change.C.Name)
			}
		case *atlas.DropIndex:
			d.noticef("the index %s stays, though the schema no longer has it; drop it in a later release with --allow-destructive", change.I.Name)
			table.AddIndexes(change.I)
		default:
			kept = append(kept, change)
		}
	}
	return kept
}

func (d destruction) noticef(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "ashlar-ent: "+d.name+": "+format+"\n", args...)
}
