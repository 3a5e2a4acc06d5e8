package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/lifecycle"
)

func TestChainStartsOneAfterTheOther(t *testing.T) {
	given := []lifecycle.Component{{Name: "b"}, {Name: "a", After: []string{"nothing"}}}
	chain := lifecycle.Chain("notes", []lifecycle.Component{{Name: "x"}, {Name: "y"}}, given)
	require.Equal(t, []lifecycle.Component{
		{Name: "notes/b", After: []string{"x", "y"}},
		{Name: "notes/a", After: []string{"notes/b"}},
	}, chain)
	require.Equal(t, "b", given[0].Name, "what was given stays as it is")
}
