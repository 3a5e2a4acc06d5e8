package cli

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// Whoever asks for help learns most from an example.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{}, kong.Name("platformctl"))
	require.NoError(t, err)
	for _, leaf := range parser.Model.Leaves(true) {
		if leaf.Name == "up" || leaf.Name == "down" {
			continue // the first commands of all; the top level's help shows them
		}
		require.NotEmpty(t, leaf.Help, leaf.FullPath())
		require.Contains(t, leaf.Detail, "platformctl "+strings.Fields(leaf.Path())[0], "%s has no example in what its Help method says", leaf.FullPath())
	}
}
