package plantest

import (
	"fmt"
	"strings"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
)

// A list whose index is missing is found, and one that has it is not.
func TestMissingIndex(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		sql := SQL{Dialect: db.Dialect, Rows: 10 * largeTable}
		exec := func(text string) {
			t.Helper()
			_, err := db.DB.ExecContext(t.Context(), text)
			require.NoError(t, err)
		}
		exec("CREATE TABLE things (id VARCHAR(40) NOT NULL PRIMARY KEY, owner VARCHAR(40) NOT NULL, body VARCHAR(200) NOT NULL)")
		Fill(t, db, []string{fmt.Sprintf("INSERT INTO things (id, owner, body) SELECT %s, %s, '%s' FROM %s",
			sql.Text("thg_", "i"), sql.Spread("usr_", 1000), strings.Repeat("x", 200), sql.Series(sql.Rows))})
		explainer := newExplainer(t, db)
		list := func(owner string) []string {
			query := entsql.Dialect(db.Dialect).Select("id").From(entsql.Table("things")).Where(entsql.EQ("owner", owner)).OrderBy("owner", "id").Limit(50)
			text, args := query.Query()
			return explainer.explain(t, sent{text, args}, page)
		}
		for _, few := range []string{Name("usr_", 7), "usr_nobody"} {
			require.NotEmpty(t, list(few))
		}
		exec("CREATE INDEX thing_owner_id ON things (owner, id)")
		for _, owner := range []string{"usr_" + Big, Name("usr_", 7), "usr_nobody"} {
			require.Empty(t, list(owner))
		}
	})
}
