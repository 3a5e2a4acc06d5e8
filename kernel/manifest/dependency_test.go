package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/manifest"
)

func TestDependenciesHaveOneWayToBeWritten(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"identity":                     "identity",
		"identity >=1.2":               "identity >= 1.2",
		"identity  >=  1.2":            "identity >= 1.2",
		"identity ^1.2.3":              "identity ^1.2.3",
		"identity ~ 1":                 "identity ~1",
		"identity =1.2.0-rc.1":         "identity = 1.2.0-rc.1",
		"identity >=1.2,<3||^ 4.1.0-0": "identity >= 1.2, < 3 || ^4.1.0-0",
	} {
		d, err := manifest.ParseDependency(written)
		require.NoError(t, err, written)
		require.Equal(t, want, d.String())
		again, err := manifest.ParseDependency(d.String())
		require.NoError(t, err)
		require.Equal(t, d, again)
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		requirement manifest.Requirement
		version     string
		want        bool
	}{
		{"", "1.0.0", true},
		{"", "", true},
		{"", "whatever", true},
		{">= 1.2", "1.2.0", true},
		{">= 1.2", "2.0.0", true},
		{">= 1.2", "1.1.9", false},
		{">= 1.2", "", false},
		{">= 1.2", "whatever", false},
		{">= 1.2", "1.2", false},
		{"= 1.2", "1.2.7", true},
		{"= 1.2", "1.3.0", false},
		{"= 1.2.3", "1.2.3", true},
		{"!= 1.2.3", "1.2.3", false},
		{"^1.2", "1.9.0", true},
		{"^1.2", "2.0.0", false},
		{"^0.2", "0.3.0", false},
		{"~1.2.3", "1.2.9", true},
		{"~1.2.3", "1.3.0", false},
		{">= 1.2, < 2", "1.9.0", true},
		{">= 1.2, < 2", "2.0.0", false},
		{"< 1 || >= 2", "0.9.0", true},
		{"< 1 || >= 2", "1.0.0", false},
		// Pre-releases count only where one is named.
		{">= 1.2", "1.3.0-rc.1", false},
		{">= 1.2", "1.2.0-rc.1", false},
		{">= 1.2.0-0", "1.2.0-rc.1", true},
		{">= 1.2.0-0", "1.3.0-rc.1", true},
		{">= 1.2.0-0", "1.2.0", true},
		{">= 1.2.0-rc.2", "1.2.0-rc.1", false},
		{">= 1.2.0-0, < 2.0.0-0", "1.9.0-rc.1", true},
		{">= 1.2.0-0, < 2", "1.9.0-rc.1", true},
		// What is no requirement is never met.
		{"newest", "1.0.0", false},
	} {
		require.Equal(t, test.want, test.requirement.Allows(test.version), "%q %q", test.requirement, test.version)
	}
}
