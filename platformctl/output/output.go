// Package output is how platformctl's commands show results: as a table for a person, or as JSON or YAML for a program.
// It must not know what it shows.
package output

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const yamlIndent = 2

// Streams are where a command reads and writes: results go to Out, everything else that a person is told goes to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Flag is the flag that commands with a result have in common.
type Flag struct {
	Output string `short:"o" enum:"table,json,yaml" default:"table" help:"How to show the result: table, json or yaml. The last two are for programs: names in them stay." placeholder:"FORMAT"`
}

// Table is a result as a person sees it. Cells hold no line breaks or control characters once they are shown.
type Table struct {
	Header []string
	Rows   [][]string
	// Empty is said instead of a table without rows.
	Empty string
}

// Tabular is a result that can be shown to a person.
type Tabular interface{ Table() Table }

// Show writes a result in the chosen format. JSON is that of encoding/json, or protobuf's own for messages, also for
// those in fields of type Message; YAML has the same names.
func (f Flag) Show(out io.Writer, result Tabular) error {
	switch f.Output {
	case "json":
		text, err := encode(result)
		if err != nil {
			return err
		}
		if text, err = indent(text); err != nil {
			return err
		}
		_, err = out.Write(append(text, '\n'))
		return err
	case "yaml":
		text, err := encode(result)
		if err != nil {
			return err
		}
		// JSON is YAML; read as nodes, its keys stay in their order.
		var document yaml.Node
		if err := yaml.Unmarshal(text, &document); err != nil {
			return err
		}
		restyle(&document)
		encoder := yaml.NewEncoder(out)
		encoder.SetIndent(yamlIndent)
		return errors.Join(encoder.Encode(&document), encoder.Close())
	case "table", "":
		return write(out, result.Table())
	default:
		return fmt.Errorf("unknown format %q", f.Output)
	}
}

// restyle takes away what makes a document look like JSON.
func restyle(node *yaml.Node) {
	node.Style = 0
	for _, each := range node.Content {
		restyle(each)
	}
}

// Message is a protobuf message in a result: it is shown in protobuf's own JSON.
type Message struct{ proto.Message }

// MarshalJSON implements json.Marshaler.
func (m Message) MarshalJSON() ([]byte, error) {
	if m.Message == nil {
		return []byte("null"), nil
	}
	return JSON(protojson.MarshalOptions{}, m.Message, false)
}

// Messages makes the messages of a list shown in protobuf's own JSON.
func Messages[M proto.Message](list []M) []Message {
	out := make([]Message, len(list))
	for i, m := range list {
		out[i] = Message{m}
	}
	return out
}

// JSON returns a message in protobuf's own JSON, indented or on one line. What would move a terminal's cursor or change its
// colors is escaped in it.
func JSON(options protojson.MarshalOptions, m proto.Message, indented bool) ([]byte, error) {
	text, err := options.Marshal(m)
	if err != nil {
		return nil, err
	}
	// protojson puts spaces where it likes, so that nobody relies on them.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	if indented {
		return indent(compact.Bytes())
	}
	return escape(compact.Bytes()), nil
}

func indent(text []byte) ([]byte, error) {
	var indented bytes.Buffer
	err := json.Indent(&indented, text, "", "  ")
	return escape(indented.Bytes()), err
}

// escape escapes characters of JSON that are harmful to a terminal; outside of strings there are none.
func escape(text []byte) []byte {
	if !bytes.ContainsFunc(text, harmful) {
		return text
	}
	var escaped bytes.Buffer
	for _, r := range string(text) {
		if harmful(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	return escaped.Bytes()
}

// harmful tells whether a terminal may take a character for a command, or show what follows in another order. Controls
// below the space are not among them: JSON has none in strings.
func harmful(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func encode(result Tabular) ([]byte, error) {
	if m, ok := result.(proto.Message); ok && !reflect.ValueOf(m).IsNil() {
		return JSON(protojson.MarshalOptions{}, m, false)
	}
	return json.Marshal(result)
}

func write(out io.Writer, t Table) error {
	if len(t.Rows) == 0 && t.Empty != "" {
		_, err := fmt.Fprintln(out, t.Empty)
		return err
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cmp.Or(Clean(cell), "-")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(text.String()) {
		_, err := fmt.Fprintln(out, strings.TrimRight(line, " \n"))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Clean makes one line out of text that may come from anybody: without what moves a terminal's cursor or changes its colors.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || harmful(r):
			return '\uFFFD'
		}
		return r
	}, text)
}

// Time makes a cell out of a time; empty where it is not set.
func Time(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}

// IsTerminal tells whether a person sees what is written; only then are there colors and progress.
func IsTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Colors tells whether what is written may be colored: on a terminal that can, unless NO_COLOR is set (no-color.org).
func Colors(out io.Writer, getenv func(string) string) bool {
	return IsTerminal(out) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
