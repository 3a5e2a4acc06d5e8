package directive_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/migrate/directive"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*directive.Contract{
		"":                                   nil,
		"-- +goose Up\nDROP TABLE t;":        nil,
		"-- about ashlar:contract":           nil,
		"INSERT INTO t VALUES ('ashlar:x');": nil,
		"-- +goose Up\n-- ashlar:contract since=20261124170000: nobody reads it\nDROP TABLE t;\n": {Since: 20261124170000, Reason: "nobody reads it"},
		"-- ashlar:contract: never released\r\n":                                                  {Reason: "never released"},
		"  --ashlar:contract since=1:because":                                                     {Since: 1, Reason: "because"},
	} {
		found, err := directive.Read(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, found, text)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-- ashlar:contract":                           "cannot be read",
		"-- ashlar:contarct since=1: x":                "cannot be read",
		"-- ashlar:contract since=x: why":              "cannot be read",
		"-- ashlar:contract since=-1: why":             "cannot be read",
		"-- ashlar:contract since=1: ":                 "no reason",
		"-- ashlar:contract:":                          "no reason",
		"-- ashlar:contract since=0: why":              "not the version",
		"-- ashlar:contract: a\n-- ashlar:contract: b": "twice",
	} {
		_, err := directive.Read(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("-- ashlar:contract since=20261124170000: nobody reads it\nDROP TABLE t;")
	f.Add("-- ashlar:contract: x\n-- ashlar:")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := directive.Read(text)
		if err != nil || found == nil {
			return
		}
		assert.NotEmpty(t, found.Reason)
		assert.GreaterOrEqual(t, found.Since, int64(0))
	})
}
