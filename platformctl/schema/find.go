package schema

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxSuggestions is how many names somebody who misspelt one is shown.
const maxSuggestions = 5

// UnknownError says that no RPC has a name, or more than one.
type UnknownError struct {
	Name string
	// Candidates are the RPCs that have it, or ones with a name like it.
	Candidates []string
	// Ambiguous tells that all candidates have it.
	Ambiguous bool
}

// Error implements error.
func (e *UnknownError) Error() string {
	switch {
	case e.Ambiguous:
		return fmt.Sprintf("%q is the name of several RPCs; which one?\n  %s", e.Name, strings.Join(e.Candidates, "\n  "))
	case len(e.Candidates) > 0:
		return fmt.Sprintf("there is no RPC %q; did you mean\n  %s", e.Name, strings.Join(e.Candidates, "\n  "))
	default:
		return fmt.Sprintf("there is no RPC %q; --list shows all", e.Name)
	}
}

// Split takes the name of an RPC apart; service is the full name of its service, and empty where the name is a short one.
func Split(name string) (service, method string) {
	service, method, _ = strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !strings.Contains(service, ".") || method == "" {
		return "", name
	}
	return service, method
}

// Find returns the RPC that a name stands for: package.Service/Method, Service/Method or Method, also with dots instead of
// slashes, where no other one has that name. The error is an *UnknownError.
func (s *Schema) Find(name string) (protoreflect.MethodDescriptor, error) {
	wanted := dotted(name)
	var found []protoreflect.MethodDescriptor
	for _, m := range s.Methods {
		full := dotted(Name(m))
		if full == wanted {
			return m, nil
		}
		if strings.HasSuffix(full, "."+wanted) {
			found = append(found, m)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	e := &UnknownError{Name: name, Ambiguous: len(found) > 1}
	for _, m := range found {
		e.Candidates = append(e.Candidates, Name(m))
	}
	if len(found) == 0 {
		e.Candidates = s.like(wanted)
	}
	return nil, e
}

func dotted(name string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "/"), "/", ".")
}

// like returns the names that are most like one, best first: the fewest letters differ, in as many parts of the name as
// were given.
func (s *Schema) like(wanted string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var candidates []candidate
	wanted = strings.ToLower(wanted)
	parts := strings.Count(wanted, ".") + 1
	for _, m := range s.Methods {
		full := strings.Split(strings.ToLower(dotted(Name(m))), ".")
		short := strings.Join(full[max(0, len(full)-parts):], ".")
		d := distance(wanted, short)
		if strings.Contains(short, wanted) {
			d = min(d, 1)
		}
		if d <= max(2, len(wanted)/3) {
			candidates = append(candidates, candidate{Name(m), d})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return a.distance - b.distance })
	var names []string
	for _, c := range candidates[:min(len(candidates), maxSuggestions)] {
		names = append(names, c.name)
	}
	return names
}

// distance is how many bytes have to be inserted, deleted or replaced to make one of two strings into the other
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
