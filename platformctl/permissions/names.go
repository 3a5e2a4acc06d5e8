package permissions

import (
	"strings"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
)

// constant is a permission or role under the name that code has for it, the same in each language.
type constant struct {
	Name, Value, Comment string
}

// constants returns the permissions and roles of a module as code names them: identity.user.read is UserRead, and the role
// identity.owner is RoleOwner. Two that would have one name are faults.
func constants(m *manifest.Manifest) (permissions, roles []constant, faults finding.List) {
	// What the generated Go package declares beside them.
	taken := map[string]string{"Permission": "the type of permissions", "Role": "the type of roles", "All": "the function All"}
	take := func(name, value string, at finding.Place) {
		if other, ok := taken[name]; ok {
			faults.Addf(at, "%s and %s would both be %s in code: rename one", value, other, name)
		}
		taken[name] = value
	}
	for i, p := range m.Permissions {
		_, rest, _ := strings.Cut(p.ID, ".")
		name := pascal(rest)
		take(name, p.ID, m.Place(item("permissions", i)+".id"))
		permissions = append(permissions, constant{name, p.ID, oneLine(p.Description)})
	}
	for i, r := range m.Roles {
		_, rest, _ := strings.Cut(r.Name, ".")
		name := "Role" + pascal(rest)
		take(name, "the role "+r.Name, m.Place(item("roles", i)+".name"))
		roles = append(roles, constant{name, r.Name, oneLine(r.Description)})
	}
	return permissions, roles, faults
}

// pascal makes a name for code out of words that are joined by dots, dashes and underscores.
func pascal(words string) string {
	var name strings.Builder
	for word := range strings.FieldsFuncSeq(words, func(r rune) bool { return r == '.' || r == '-' || r == '_' }) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// oneLine makes a comment out of a description.
func oneLine(description string) string { return strings.Join(strings.Fields(description), " ") }
