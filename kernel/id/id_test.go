package id_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/id"
)

func TestIDsSortInTheOrderInWhichTheyAreMade(t *testing.T) {
	t.Parallel()
	const many = 10_000
	ids := make([]string, many)
	for i := range ids {
		ids[i] = id.New(id.User)
		require.NoError(t, id.Check(id.User, ids[i]))
	}
	require.True(t, slices.IsSorted(ids))
	require.Len(t, slices.Compact(ids), many)
	require.Len(t, ids[0], len("usr_")+26)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := id.New(id.Organization)
	require.NoError(t, id.Check(id.Organization, good))
	for name, bad := range map[string]string{
		"empty": "", "another kind": id.New(id.User), "no prefix": strings.TrimPrefix(good, "org_"), "the prefix alone": "org_",
		"too short": good[:len(good)-1], "too long": good + "0", "upper case": "org_" + strings.ToUpper(strings.TrimPrefix(good, "org_")),
		"a letter that is none": good[:len(good)-1] + "u", "space": " " + good, "a prefix of the prefix": "o" + good,
	} {
		require.ErrorContains(t, id.Check(id.Organization, bad), "org_…", name)
	}
}
