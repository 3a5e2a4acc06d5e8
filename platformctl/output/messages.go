package output

import (
	"encoding/json"

	"google.golang.org/protobuf/proto"
)

// Columns are how messages of one type look in a table. In JSON and YAML they have all their fields.
type Columns[M proto.Message] struct {
	Header []string
	Row    func(M) []string
}

// List is a result of many messages; empty is said instead of a table of none.
func (c Columns[M]) List(items []M, empty string) Tabular { return list[M]{c, items, empty} }

// One is a result of one message.
func (c Columns[M]) One(item M) Tabular { return one[M]{c, item} }

type list[M proto.Message] struct {
	columns Columns[M]
	items   []M
	empty   string
}

// Table implements Tabular.
func (l list[M]) Table() Table {
	t := Table{Header: l.columns.Header, Empty: l.empty}
	for _, item := range l.items {
		t.Rows = append(t.Rows, l.columns.Row(item))
	}
	return t
}

// MarshalJSON implements json.Marshaler.
func (l list[M]) MarshalJSON() ([]byte, error) { return json.Marshal(Messages(l.items)) }

type one[M proto.Message] struct {
	columns Columns[M]
	item    M
}

// Table implements Tabular.
func (o one[M]) Table() Table {
	return Table{Header: o.columns.Header, Rows: [][]string{o.columns.Row(o.item)}}
}

// MarshalJSON implements json.Marshaler.
func (o one[M]) MarshalJSON() ([]byte, error) { return Message{o.item}.MarshalJSON() }
