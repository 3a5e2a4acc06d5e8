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
//	WHERE organization_id >= $1 AND (organization_id, id) > ($1, $2) AND organization_id <= $1 ORDER BY organization_id, id LIMIT 50
//
// The first bound follows from the pair. Without it, plans that are made for any values expect a ninth of the table, and
// would rather read all of the organization from an index with another order. With it they are as those that are made for
// the values, but for small tables, of which PostgreSQL expects so few rows that it sorts them.
//
// SQLite gets the equation: it finds the index by that, and would begin a join with the other table otherwise.
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
// and Key after them.
type Page struct {
	// Within are columns without NULLs. The last is the one that is held by bounds. None: the list is the whole table, and
	// Key its primary key.
	Within []Fixed
	// Key is the column of the order, in which no value is twice within the list.
	Key string
	// After is the key before the page; nil and "" are the beginning.
	After any
	// Inclusive has the page begin with After itself.
	Inclusive bool
	// Descending is the order from the highest key to the lowest.
	Descending bool
}

// Narrow is a predicate of ent, for Where; it sets the order, too.
func (p Page) Narrow() func(*sql.Selector) {
	return func(selector *sql.Selector) { p.Of(selector, selector.C) }
}

// Of is Narrow for columns of a table that was joined.
func (p Page) Of(selector *sql.Selector, column func(string) string) {
	first, beyond, bound, order := sql.GTE, sql.OpGT, sql.LTE, sql.Asc
	if p.Descending {
		first, beyond, bound, order = sql.LTE, sql.OpLT, sql.GTE, sql.Desc
	}
	switch {
	case p.Inclusive && p.Descending:
		beyond = sql.OpLTE
	case p.Inclusive:
		beyond = sql.OpGTE
	}
	begins := p.After == nil || p.After == ""
	if len(p.Within) == 0 {
		key := column(p.Key)
		if selector.OrderBy(order(key)); !begins {
			selector.Where(sql.P(func(b *sql.Builder) { b.Ident(key).WriteOp(beyond).Arg(p.After) }))
		}
		return
	}
	equal, last := p.Within[:len(p.Within)-1], p.Within[len(p.Within)-1]
	for _, each := range equal {
		selector.Where(sql.EQ(column(each.Column), each.Value))
	}
	within, key := column(last.Column), column(p.Key)
	if selector.Dialect() == dialect.SQLite {
		selector.Where(sql.EQ(within, last.Value)).OrderBy(order(key))
		if !begins {
			selector.Where(sql.P(func(b *sql.Builder) { b.Ident(key).WriteOp(beyond).Arg(p.After) }))
		}
		return
	}
	selector.Where(first(within, last.Value))
	if !begins {
		selector.Where(sql.P(func(b *sql.Builder) {
			b.WriteByte('(').IdentComma(within, key).WriteByte(')').WriteOp(beyond).WriteByte('(').Args(last.Value, p.After).WriteByte(')')
		}))
	}
	selector.Where(bound(within, last.Value)).OrderBy(order(within), order(key))
}
