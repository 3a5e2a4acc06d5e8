package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/nearest"
)

func TestTo(t *testing.T) {
	t.Parallel()
	keys := []string{"name", "version", "database", "dependsOn", "permissions"}
	for word, want := range map[string]string{
		"databse": "database", "dependson": "dependsOn", "NAME": "name", "permission": "permissions", "versioon": "version",
		"mane": "name", "name": "name", "colour": "", "": "", "x": "", strings.Repeat("name", 65): "",
	} {
		require.Equal(t, want, nearest.To(word, keys...), "%q", word)
	}
	require.Equal(t, "cat", nearest.To("bat", "cat", "hat"), "the first of those that are equally near")
	require.Empty(t, nearest.To("cat"))
}
