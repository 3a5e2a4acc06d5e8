// Package scan has queries of ent read all their rows into one set of places. ent would make new places for each row,
// which are two fifths of what a page of a list allocates. The code that tools/entgo generates calls it, for entities
// whose fields are copied out of their places.
package scan

import "entgo.io/ent/dialect/sql"

// Reuse returns a function that calls places once and returns the same for each row; it serves one query. A query that
// selects columns which the schema does not have gets new places for each row, because entities keep those. Nil stays nil:
// counting reads no entities.
func Reuse(places func(columns []string) ([]any, error)) func(columns []string) ([]any, error) {
	if places == nil {
		return nil
	}
	var reused []any
	return func(columns []string) ([]any, error) {
		if reused != nil {
			return reused, nil
		}
		values, err := places(columns)
		if err == nil && !keepsAny(values) {
			reused = values
		}
		return values, err
	}
}

// keepsAny says whether a column is one that the schema does not have.
func keepsAny(values []any) bool {
	for _, each := range values {
		if _, unknown := each.(*sql.UnknownType); unknown {
			return true
		}
	}
	return false
}
