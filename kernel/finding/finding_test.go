package finding_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/finding"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	for want, place := range map[string]finding.Place{
		"":               {},
		"a.yaml":         {File: "a.yaml"},
		"a.yaml:3":       {File: "a.yaml", Line: 3},
		"dir/a.yaml:3:5": {File: "dir/a.yaml", Line: 3, Column: 5},
	} {
		require.Equal(t, want, place.String())
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	var list finding.List
	require.NoError(t, list.Err(), "nothing found is no error")

	list.Addf(finding.Place{File: "b", Line: 1}, "second")
	list.Suggestf(finding.Place{File: "a", Line: 10, Column: 2}, "name", "unknown key %q", "mane")
	list.Addf(finding.Place{File: "a", Line: 9, Column: 3}, "first")
	list.Addf(finding.Place{}, "no place")
	list.Sort()

	err := list.Err()
	require.EqualError(t, err, "no place\na:9:3: first\na:10:2: unknown key \"mane\"; did you mean \"name\"?\nb:1: second")
	found, ok := errors.AsType[finding.List](err)
	require.True(t, ok)
	require.Len(t, found, 4)
}
