// Package finding holds what a check has to say about a source file: where, what is wrong, and what may have been meant.
// Everything that reads a file which people write reports this way, so that editors and scripts find the place. It must
// not know what is checked.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is a place in a file.
type Place struct {
	// File is the name by which the file was asked for.
	File string `json:"file" yaml:"file"`
	// Line and Column begin with 1; zero: the whole file is meant, or the whole line.
	Line   int `json:"line,omitempty"   yaml:"line,omitempty"`
	Column int `json:"column,omitempty" yaml:"column,omitempty"`
}

// String returns file:line:column, as compilers print it.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Finding is one fault.
type Finding struct {
	Place `yaml:",inline"`

	Message string `json:"message" yaml:"message"`
	// Suggestion is what was probably meant; empty where nothing is near.
	Suggestion string `json:"suggestion,omitempty" yaml:"suggestion,omitempty"`
}

// String returns the finding on one line.
func (f Finding) String() string {
	var said strings.Builder
	if place := f.Place.String(); place != "" {
		said.WriteString(place + ": ")
	}
	said.WriteString(f.Message)
	if f.Suggestion != "" {
		fmt.Fprintf(&said, "; did you mean %q?", f.Suggestion)
	}
	return said.String()
}

// List is all that a check found. An empty one is no error: see Err.
type List []Finding //nolint:errname,recvcheck // a list that can be an error, if there is anything in it; adding needs the pointer

// Addf puts a finding at the end.
func (l *List) Addf(at Place, format string, args ...any) { l.Suggestf(at, "", format, args...) }

// Suggestf is Addf with what was probably meant; an empty suggestion is none.
func (l *List) Suggestf(at Place, suggestion, format string, args ...any) {
	*l = append(*l, Finding{Place: at, Message: fmt.Sprintf(format, args...), Suggestion: suggestion})
}

// Sort puts the findings into the order of their places.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
}

// Error implements error: one finding a line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the list as an error, and nil where nothing was found.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}
