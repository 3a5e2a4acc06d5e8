// Package keyset writes the pages of lists so that both databases answer them from the one index that has their order,
// whatever they guess about the rows.
//
// PostgreSQL takes columns for independent, and a column that is fixed by an equation out of ORDER BY. For
//
//	WHERE organization_id = $1 AND id > $2 ORDER BY organization_id, id LIMIT 50
//
// it therefore reads the primary key, if it expects a match among every few rows; and where the organization has no rows
// after that one, it reads those of everybody else until the end of the table. A column that is held between two equal
// bounds stays in ORDER BY, where only the index of the list has it:
//
//	WHERE organization_id >= $1 AND organization_id <= $1 AND (organization_id, id) > ($1, $2) ORDER BY organization_id, id LIMIT 50
//
// The first bound follows from the pair. Without it, plans that are made for any values expect a ninth of the table, and
// would rather read all of the organization from an index with another order. With it they are as those that are made for
// the values, but for small tables, of which PostgreSQL expects so few rows that it sorts them.
//
// SQLite gets the equation: it finds the index by that, and would begin a join with the other table otherwise. For a Span it
// would take the index without the column that is held, because that has fewer columns; so it gets the two ends alone, of
// which the first value is that column's.
package keyset

import (
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Fixed is a column that has one value in all of a list.
type Fixed struct {
	Column string
	Value  any
}

// Page is where in a list to begin. The index that answers it has the columns of Within, in any order but for the last,
// Span's column, and Key after them.
type Page struct {
	// Within are columns without NULLs. The last is the one that is held by bounds. None: the list is the whole table, and
	// Key its primary key.
	Within []Fixed
	// Span is what the order has before Key; nil: nothing.
	Span *Span
	// Key is the column of the order, in which no value is twice within the list, or within a value of Span's column.
	Key string
	// After is the key before the page; nil and "" are the beginning.
	After any
	// Inclusive has the page begin with After itself.
	Inclusive bool
	// Descending is the order from the highest key to the lowest.
	Descending bool
}

// Span is a column of the order in which a value may be there more than once, such as a time, and what is wanted of it. Both
// ends are given, as rows that need not be there.
//
// Rows beyond the last may be answered, after all others: the caller cuts them off. Within a column that is held between
// bounds PostgreSQL would not stop at the end of a span, but read the index to the end of the list and answer nothing of it.
type Span struct {
	Column string
	// After is the value of the row before the page; Page.After is its key.
	After any
	// Last and LastKey are those of the last row that is wanted.
	Last, LastKey any
	// Sparse says that other conditions leave out most of what is read. Then no rows are answered, or looked at, whose value
	// in Column is beyond Last, for the price of reading their keys in the index.
	Sparse bool
}

// Narrow is a predicate of ent, for Where; it sets the order, too.
func (p Page) Narrow() func(*sql.Selector) {
	return func(selector *sql.Selector) { p.Of(selector, selector.C) }
}

// Of is Narrow for columns of a table that was joined.
func (p Page) Of(selector *sql.Selector, column func(string) string) {
	columns, after, last := p.bounds(column)
	lite := selector.Dialect() == dialect.SQLite
	for i, each := range p.Within {
		within := column(each.Column)
		if i < len(p.Within)-1 || lite && p.Span == nil {
			selector.Where(sql.EQ(within, each.Value))
			continue
		}
		columns, after = append([]string{within}, columns...), before(each.Value, after)
		if lite {
			last = before(each.Value, last)
			continue
		}
		selector.Where(sql.GTE(within, each.Value)).Where(sql.LTE(within, each.Value))
	}
	begin, end, order := sql.OpGT, sql.OpLTE, sql.Asc
	if p.Inclusive {
		begin = sql.OpGTE
	}
	if p.Descending {
		begin, end, order = reversed[begin], reversed[end], sql.Desc
	}
	compare(selector, columns, begin, after)
	switch held := len(p.Within) > 0 && !lite; {
	case !held:
		compare(selector, columns, end, last)
	case p.Span != nil && p.Span.Sparse:
		compare(selector, columns[1:], end, last[:1])
	}
	for _, each := range columns {
		selector.OrderBy(order(each))
	}
}

var reversed = map[sql.Op]sql.Op{sql.OpGT: sql.OpLT, sql.OpGTE: sql.OpLTE, sql.OpLTE: sql.OpGTE}

// bounds returns the columns of the order, and their values before the page and at the end; nil where there is no such bound.
func (p Page) bounds(column func(string) string) (columns []string, after, last []any) {
	key := column(p.Key)
	switch {
	case p.Span != nil:
		return []string{column(p.Span.Column), key}, []any{p.Span.After, p.After}, []any{p.Span.Last, p.Span.LastKey}
	case p.After == nil || p.After == "":
		return []string{key}, nil, nil
	default:
		return []string{key}, []any{p.After}, nil
	}
}

// before puts a value before those of a bound, where there is one.
func before(value any, bound []any) []any {
	if bound == nil {
		return nil
	}
	return append([]any{value}, bound...)
}

// compare has columns, as one, be on one side of values.
func compare(selector *sql.Selector, columns []string, op sql.Op, values []any) {
	switch len(values) {
	case 0:
	case 1:
		selector.Where(sql.P(func(b *sql.Builder) { b.Ident(columns[0]).WriteOp(op).Arg(values[0]) }))
	default:
		selector.Where(sql.P(func(b *sql.Builder) {
			b.WriteByte('(').IdentComma(columns...).WriteByte(')').WriteOp(op).WriteByte('(').Args(values...).WriteByte(')')
		}))
	}
}
