package database

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"  SELECT\n\t1  ":          "SELECT 1",
		"SELECT $1, `a`, \"b\" ":   "SELECT $1, `a`, \"b\"",
		"SELECT 'a', 'b''c', 1":    "SELECT '…', '…', 1",
		"SELECT 'without an end":   "SELECT '…'",
		`SELECT E'a\'b', 2`:        "SELECT E'…', 2",
		"SELECT 'ä\xff'":           "SELECT '…'",
		"SELECT \xff":              "SELECT \uFFFD",
		strings.Repeat("a ", 3000): strings.Repeat("a ", 501) + "…",
	} {
		assert.Equal(t, want, printable(text), text)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("SELECT 'a''b' FROM t WHERE x = $1")
	f.Add("E'\\''")
	f.Fuzz(func(t *testing.T, text string) {
		shown := printable(text)
		assert.LessOrEqual(t, len(shown), maxStatement+10)
		assert.True(t, utf8.ValidString(shown))
		assert.Zero(t, strings.Count(shown, "'")%2)
		assert.NotContains(t, shown, "\n")
	})
}

func TestOperation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"select 1": "SELECT", " (SELECT 1)": "SELECT", "begin": "BEGIN", "": "statement", "'x'": "statement", "/* x */ SELECT": "statement",
	} {
		assert.Equal(t, want, operation(text), text)
	}
}
