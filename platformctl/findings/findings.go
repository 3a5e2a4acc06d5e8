// Package findings is how commands that check files show what they found: a line for each place, as compilers do, or as
// data. It must not know what was checked.
package findings

import (
	"encoding/json"
	"fmt"
	"io"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// Show shows the result of a check. Where nothing was found, a person is told in the words of good. Otherwise the error
// has the exit code exit.Invalid.
func Show(flag output.Flag, out io.Writer, found finding.List, good string) error {
	if err := show(flag, out, found, good); err != nil {
		return err
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return exit.With(exit.Invalid, fmt.Errorf("1 fault"))
	default:
		return exit.With(exit.Invalid, fmt.Errorf("%d faults", len(found)))
	}
}

func show(flag output.Flag, out io.Writer, found finding.List, good string) error {
	if flag.Output != "table" && flag.Output != "" {
		return flag.Show(out, result{found})
	}
	// No table: editors know `file:line:column: message`.
	text := good
	if len(found) > 0 {
		text = found.Error()
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

type result struct{ found finding.List }

// MarshalJSON implements json.Marshaler: an empty list is one, too.
func (r result) MarshalJSON() ([]byte, error) {
	return json.Marshal(append(finding.List{}, r.found...))
}

// Table implements output.Tabular.
func (r result) Table() output.Table {
	table := output.Table{Header: []string{"PLACE", "MESSAGE", "SUGGESTION"}}
	for _, f := range r.found {
		table.Rows = append(table.Rows, []string{f.Place.String(), f.Message, f.Suggestion})
	}
	return table
}
