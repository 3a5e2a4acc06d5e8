package manifest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/manifest"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.Schema()))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("module.schema.json", doc))
	compiled, err := compiler.Compile("module.schema.json")
	require.NoError(t, err)
	require.Equal(t, 2020, compiled.DraftVersion)
	return compiled
}

// The same files through the schema as through the parser: an editor must not accept what the process refuses later,
// except where it takes more than looking at one value.
func TestSchemaAndParserAgree(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, edit.from, edit.to, 1)
			var content any
			if err := yaml.UnmarshalWithOptions([]byte(text), &content, yaml.AllowDuplicateMapKey()); err != nil {
				require.NotEmpty(t, edit.says, "what is no YAML is no manifest")
				return
			}
			err := schema.Validate(content)
			if edit.fits {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
}
