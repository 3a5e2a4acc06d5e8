package manifest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

// The schema has the parser's patterns and bounds, to the letter.
func TestSchemaHasTheSameForms(t *testing.T) {
	t.Parallel()
	var doc any
	require.NoError(t, json.Unmarshal(Schema(), &doc))
	at := func(path ...string) any {
		node := doc
		for _, name := range path {
			object, ok := node.(map[string]any)
			require.True(t, ok, path)
			require.Contains(t, object, name, path)
			node = object[name]
		}
		return node
	}
	for _, test := range []struct {
		form form
		path []string
	}{
		{nameForm, []string{"properties", "name"}},
		{versionForm, []string{"properties", "version"}},
		{descriptionForm, []string{"$defs", "description"}},
		{serviceForm, []string{"properties", "services", "items"}},
		{dependencyForm, []string{"properties", "dependsOn", "items"}},
		{schemaForm, []string{"properties", "database", "properties", "schema"}},
		{permissionForm, []string{"properties", "permissions", "items", "properties", "id"}},
		{roleForm, []string{"properties", "roles", "items", "properties", "name"}},
		{patternForm, []string{"properties", "roles", "items", "properties", "permissions", "items"}},
		{durationForm, []string{"$defs", "duration"}},
		{aliasForm, []string{"properties", "gateway", "properties", "aliases", "propertyNames"}},
		{procedureForm, []string{"properties", "gateway", "properties", "aliases", "additionalProperties"}},
	} {
		require.Equal(t, test.form.re.String(), at(append(test.path, "pattern")...), test.path)
		require.EqualValues(t, test.form.max, at(append(test.path, "maxLength")...), test.path)
	}
	for list, most := range map[string]int{
		"services": maxServices, "dependsOn": maxDependencies, "permissions": maxPermissions, "roles": maxRoles,
	} {
		require.EqualValues(t, most, at("properties", list, "maxItems"))
	}
	require.EqualValues(t, maxRolePermissions, at("properties", "roles", "items", "properties", "permissions", "maxItems"))
	require.EqualValues(t, maxAliases, at("properties", "gateway", "properties", "aliases", "maxProperties"))
}

// A service registers with the names of what it depends on: discovery refuses what Consul would.
func TestDependenciesFitIntoTheRegistry(t *testing.T) {
	t.Parallel()
	names := slices.Repeat([]string{strings.Repeat("n", nameForm.max)}, maxDependencies)
	registration := discovery.Registration{Instance: discovery.Instance{
		ID: "notes-1", Service: "notes", Address: "127.0.0.1:1", Metadata: map[string]string{discovery.MetadataDependsOn: strings.Join(names, ",")},
	}}
	require.NoError(t, registration.Validate())
}

// Whoever completes a key in an editor reads what it is for.
func TestEverythingInTheSchemaIsDescribed(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	require.NoError(t, json.Unmarshal(Schema(), &doc))
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		require.NotEmpty(t, node["description"], path)
		if properties, ok := node["properties"].(map[string]any); ok {
			require.Equal(t, false, node["additionalProperties"], path)
			for name, property := range properties {
				object, ok := property.(map[string]any)
				require.True(t, ok)
				walk(path+"."+name, object)
			}
		}
		if items, ok := node["items"].(map[string]any); ok {
			walk(path+"[]", items)
		}
	}
	walk("module", doc)
}
