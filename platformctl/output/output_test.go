package output_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/platformctl/output"
)

type thing struct {
	Name  string         `json:"name"`
	Since output.Message `json:"since"`
}

type things []thing

func (t things) Table() output.Table {
	table := output.Table{Header: []string{"NAME", "SINCE"}, Empty: "There are no things."}
	for _, each := range t {
		table.Rows = append(table.Rows, []string{each.Name, ""})
	}
	return table
}

func TestFormats(t *testing.T) {
	t.Parallel()
	list := things{{"a", output.Message{Message: &timestamppb.Timestamp{Seconds: 1}}}, {"a name\x1b[2J\nand more", output.Message{}}}
	for format, want := range map[string]string{
		"":      "NAME                 SINCE\na                    -\na name\uFFFD[2J and more  -\n",
		"table": "NAME                 SINCE\na                    -\na name\uFFFD[2J and more  -\n",
		"json": `[
  {
    "name": "a",
    "since": "1970-01-01T00:00:01Z"
  },
  {
    "name": "a name\u001b[2J\nand more",
    "since": null
  }
]
`,
		"yaml": "- name: a\n  since: \"1970-01-01T00:00:01Z\"\n- name: \"a name\\e[2J\\nand more\"\n  since: null\n",
	} {
		var out bytes.Buffer
		require.NoError(t, output.Flag{Output: format}.Show(&out, list))
		require.Equal(t, want, out.String(), format)
	}
	require.ErrorContains(t, output.Flag{Output: "xml"}.Show(&bytes.Buffer{}, list), `"xml"`)
}

func TestNothingToShow(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, output.Flag{}.Show(&out, things{}))
	require.Equal(t, "There are no things.\n", out.String())
	out.Reset()
	require.NoError(t, output.Flag{Output: "json"}.Show(&out, things{}))
	require.Equal(t, "[]\n", out.String())
}

func TestNoColorsInAFile(t *testing.T) {
	t.Parallel()
	require.False(t, output.Colors(&bytes.Buffer{}, func(string) string { return "" }))
}
