package services

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var diamond = []node{
	{name: "auth", needs: []edge{{"authz", ""}, {"identity", ">= 1.2"}}},
	{name: "authz"},
	{name: "identity", needs: []edge{{"authz", ""}}},
	{name: "notes", needs: []edge{{"identity", ""}, {"lost", ""}}},
}

func drawn(t *testing.T, draw func(io.Writer, []node) error, nodes []node) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, draw(&out, nodes))
	return out.String()
}

func TestTree(t *testing.T) {
	t.Parallel()
	require.Equal(t, `auth
├── authz
└── identity >= 1.2
    └── authz
notes
├── identity (see above)
└── lost (not there)
`, drawn(t, tree, diamond))
	// What runs can be in a circle, and say anything.
	require.Equal(t, "a\n└── b\n    └── a (see above)\n", drawn(t, tree, []node{{"a", []edge{{"b", ""}}}, {"b", []edge{{"a", ""}}}}))
	require.NotContains(t, drawn(t, tree, []node{{name: "\x1b[2Jx"}}), "\x1b")
}

func TestMermaid(t *testing.T) {
	t.Parallel()
	require.Equal(t, `flowchart TD
  n0["auth"]
  n1["authz"]
  n2["identity"]
  n3["lost"]
  n4["notes"]
  n0 --> n1
  n0 -->|"#gt;= 1.2"| n2
  n2 --> n1
  n4 --> n2
  n4 --> n3
`, drawn(t, mermaid, diamond))
	require.NotContains(t, drawn(t, mermaid, []node{{name: `end"] --> x["`}}), `end"`)
}

func TestDot(t *testing.T) {
	t.Parallel()
	require.Equal(t, `digraph services {
  "auth";
  "authz";
  "identity";
  "lost";
  "notes";
  "auth" -> "authz";
  "auth" -> "identity" [label=">= 1.2"];
  "identity" -> "authz";
  "notes" -> "identity";
  "notes" -> "lost";
}
`, drawn(t, dot, diamond))
}
