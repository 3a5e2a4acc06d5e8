package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who takes a connection from database/sql's own queue waits until the deadline: there is no time left to tell a caller
// anything then, and what has no deadline waits for ever.
func TestNobodyTakesThePoolItself(t *testing.T) {
	t.Parallel()
	folder := root(t)
	looked := 0
	for _, s := range sources(t, folder, modules(t, folder)) {
		if s.test || within(s.pkg, []string{"ashlar.dev/ent/database"}) || !within(s.pkg, []string{"ashlar.dev/ent", "ashlar.dev/platform", "ashlar.dev/services"}) {
			continue
		}
		looked++
		positions := token.NewFileSet()
		parsed, err := parser.ParseFile(positions, filepath.Join(folder, s.file), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, at := range selecting(parsed, "DB") {
			t.Errorf("%s takes .DB: use Driver, Conn, WithConn, ExecContext or Begin of database.Database, which bound the wait for a connection", positions.Position(at))
		}
	}
	require.Greater(t, looked, 100)
}

// selecting returns where a field is taken, but for types of database/sql that have its name.
func selecting(file *ast.File, field string) (found []token.Pos) {
	packages := map[string]bool{"sql": true, "entsql": true}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || selector.Sel.Name != field {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); !ok || !packages[of.Name] {
			found = append(found, selector.Pos())
		}
		return true
	})
	return found
}

func TestSelecting(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{
		"var _ *sql.DB":                          0,
		"var _ = db.DB":                          1,
		"func f() { s.db.DB.Exec(); g(h().DB) }": 2,
		"func f() { db.Conn(ctx); DB() }":        0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a.go", "package a\n"+code, parser.SkipObjectResolution)
		require.NoError(t, err)
		assert.Len(t, selecting(file, "DB"), want, code)
	}
}
