package keyset_test

import (
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"

	"ashlar.dev/ent/keyset"
)

func TestNarrow(t *testing.T) {
	t.Parallel()
	one := []keyset.Fixed{{Column: "o", Value: "org"}}
	two := append([]keyset.Fixed{{Column: "u", Value: "usr"}}, one...)
	for name, test := range map[string]struct {
		page             keyset.Page
		postgres, sqlite string
		args             []any // of PostgreSQL
	}{
		"the beginning": {
			keyset.Page{Within: one, Key: "id"},
			`"t"."o" >= $1 AND "t"."o" <= $2 ORDER BY "t"."o" ASC, "t"."id" ASC`,
			"`t`.`o` = ? ORDER BY `t`.`id` ASC",
			[]any{"org", "org"},
		},
		"after a key": {
			keyset.Page{Within: one, Key: "id", After: "k"},
			`("t"."o" >= $1 AND "t"."o" <= $2) AND ("t"."o", "t"."id") > ($3, $4) ORDER BY "t"."o" ASC, "t"."id" ASC`,
			"`t`.`o` = ? AND `t`.`id` > ? ORDER BY `t`.`id` ASC",
			[]any{"org", "org", "org", "k"},
		},
		"from a key": {
			keyset.Page{Within: one, Key: "id", After: "k", Inclusive: true},
			`("t"."o" >= $1 AND "t"."o" <= $2) AND ("t"."o", "t"."id") >= ($3, $4) ORDER BY "t"."o" ASC, "t"."id" ASC`,
			"`t`.`o` = ? AND `t`.`id` >= ? ORDER BY `t`.`id` ASC",
			[]any{"org", "org", "org", "k"},
		},
		"backwards": {
			keyset.Page{Within: one, Key: "id", After: "k", Descending: true},
			`("t"."o" >= $1 AND "t"."o" <= $2) AND ("t"."o", "t"."id") < ($3, $4) ORDER BY "t"."o" DESC, "t"."id" DESC`,
			"`t`.`o` = ? AND `t`.`id` < ? ORDER BY `t`.`id` DESC",
			[]any{"org", "org", "org", "k"},
		},
		"backwards from a key": {
			keyset.Page{Within: one, Key: "id", After: "k", Inclusive: true, Descending: true},
			`("t"."o" >= $1 AND "t"."o" <= $2) AND ("t"."o", "t"."id") <= ($3, $4) ORDER BY "t"."o" DESC, "t"."id" DESC`,
			"`t`.`o` = ? AND `t`.`id` <= ? ORDER BY `t`.`id` DESC",
			[]any{"org", "org", "org", "k"},
		},
		"the whole table, after a key": {
			keyset.Page{Key: "id", After: "k"},
			`"t"."id" > $1 ORDER BY "t"."id" ASC`, "`t`.`id` > ? ORDER BY `t`.`id` ASC", []any{"k"},
		},
		"the whole table, backwards from a key": {
			keyset.Page{Key: "id", After: "k", Inclusive: true, Descending: true},
			`"t"."id" <= $1 ORDER BY "t"."id" DESC`, "`t`.`id` <= ? ORDER BY `t`.`id` DESC", []any{"k"},
		},
		"two columns": {
			keyset.Page{Within: two, Key: "id", After: "k"},
			`(("t"."u" = $1 AND "t"."o" >= $2) AND "t"."o" <= $3) AND ("t"."o", "t"."id") > ($4, $5) ORDER BY "t"."o" ASC, "t"."id" ASC`,
			"(`t`.`u` = ? AND `t`.`o` = ?) AND `t`.`id` > ? ORDER BY `t`.`id` ASC",
			[]any{"usr", "org", "org", "org", "k"},
		},
		"a span, after a row": {
			keyset.Page{Within: two, Span: &keyset.Span{Column: "at", After: 1, Last: 2, LastKey: "l"}, Key: "id", After: "k"},
			`(("t"."u" = $1 AND "t"."o" >= $2) AND "t"."o" <= $3) AND ("t"."o", "t"."at", "t"."id") > ($4, $5, $6) ` +
				`ORDER BY "t"."o" ASC, "t"."at" ASC, "t"."id" ASC`,
			"(`t`.`u` = ? AND (`t`.`o`, `t`.`at`, `t`.`id`) > (?, ?, ?)) AND (`t`.`o`, `t`.`at`, `t`.`id`) <= (?, ?, ?) " +
				"ORDER BY `t`.`o` ASC, `t`.`at` ASC, `t`.`id` ASC",
			[]any{"usr", "org", "org", "org", 1, "k"},
		},
		"a span of which most is left out": {
			keyset.Page{Within: one, Span: &keyset.Span{Column: "at", After: 1, Last: 2, LastKey: "l", Sparse: true}, Key: "id", After: "k"},
			`(("t"."o" >= $1 AND "t"."o" <= $2) AND ("t"."o", "t"."at", "t"."id") > ($3, $4, $5)) AND "t"."at" <= $6 ` +
				`ORDER BY "t"."o" ASC, "t"."at" ASC, "t"."id" ASC`,
			"(`t`.`o`, `t`.`at`, `t`.`id`) > (?, ?, ?) AND (`t`.`o`, `t`.`at`, `t`.`id`) <= (?, ?, ?) " +
				"ORDER BY `t`.`o` ASC, `t`.`at` ASC, `t`.`id` ASC",
			[]any{"org", "org", "org", 1, "k", 2},
		},
		"a span of the whole table, backwards from a row": {
			keyset.Page{
				Span: &keyset.Span{Column: "at", After: 2, Last: 1, LastKey: ""}, Key: "id", After: "", Inclusive: true, Descending: true,
			},
			`("t"."at", "t"."id") <= ($1, $2) AND ("t"."at", "t"."id") >= ($3, $4) ORDER BY "t"."at" DESC, "t"."id" DESC`,
			"(`t`.`at`, `t`.`id`) <= (?, ?) AND (`t`.`at`, `t`.`id`) >= (?, ?) ORDER BY `t`.`at` DESC, `t`.`id` DESC",
			[]any{2, "", 1, ""},
		},
	} {
		for in, want := range map[string]string{dialect.Postgres: test.postgres, dialect.SQLite: test.sqlite} {
			selector := sql.Dialect(in).Select().From(sql.Table("t"))
			test.page.Narrow()(selector)
			query, args := selector.Query()
			assert.Contains(t, query, " WHERE "+want, "%s, %s", name, in)
			if in == dialect.Postgres {
				assert.Equal(t, test.args, args, name)
			}
		}
	}
}
