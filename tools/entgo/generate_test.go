package main

import (
	"runtime"
	"testing"

	"entgo.io/ent/entc/gen"
	"github.com/stretchr/testify/require"
)

// ent formats as many files at once as there are processors, and may take one for empty that it writes just then.
func TestFilesAreFormattedOneAfterTheOther(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	var during int
	look := func(gen.Generator) gen.Generator {
		return gen.GenerateFunc(func(*gen.Graph) error {
			during = runtime.GOMAXPROCS(0)
			return nil
		})
	}
	require.NoError(t, generateAlone(&gen.Graph{Config: &gen.Config{Hooks: []gen.Hook{look}}}))
	require.Equal(t, 1, during)
	require.Equal(t, 4, runtime.GOMAXPROCS(0))
}
