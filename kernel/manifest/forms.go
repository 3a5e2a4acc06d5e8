package manifest

import (
	"regexp"
	"unicode/utf8"
)

// form is what a text must look like. module.schema.json says the same; a test compares the two.
type form struct {
	re *regexp.Regexp
	// max is how many characters it may have.
	max int
	// want says it to a person.
	want string
}

func newForm(pattern string, characters int, want string) form {
	return form{regexp.MustCompile(pattern), characters, want}
}

func (f form) matches(s string) bool {
	return f.re.MatchString(s) && utf8.RuneCountInString(s) <= f.max
}

// Parts of patterns.
const (
	namePart       = `[a-z][a-z0-9]{0,39}`
	wordPart       = `[a-z][a-z0-9_]*`
	numberPart     = `(?:0|[1-9][0-9]{0,8})`
	identifierPart = `(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`
	prePart        = `(?:-` + identifierPart + `(?:\.` + identifierPart + `)*)?`
	versionPart    = numberPart + `\.` + numberPart + `\.` + numberPart + prePart
	comparisonPart = `(?:>=|<=|!=|=|>|<|\^|~) *(?:` + numberPart + `(?:\.` + numberPart + `)?|` + versionPart + `)`
	groupPart      = comparisonPart + `(?: *, *` + comparisonPart + `)*`
)

// Bounds that authz puts on what it registers.
const (
	maxPermissions     = 1000
	maxRoles           = 200
	maxRolePermissions = 1000
	maxDescription     = 500
)

// Bounds on the other lists.
const (
	maxServices = 100
	maxAliases  = 100
	// maxProcedures bounds the procedures of which something is said apart.
	maxProcedures = 1000
	// The names of all dependencies, with commas between them, are one value in the registry, which has at most 512 bytes.
	maxDependencies = 12
)

var (
	nameForm        = newForm(`^`+namePart+`$`, 40, "lower-case letters and digits, beginning with a letter, at most 40")
	versionForm     = newForm(`^`+versionPart+`$`, 100, "a semantic version such as 1.0.0")
	descriptionForm = newForm(`\S`, maxDescription, "a text of at most 500 characters")
	serviceForm     = newForm(`^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$`, 200, "a fully-qualified name such as acme.notes.v1.NoteService")
	dependencyForm  = newForm(`^`+namePart+`(?: +`+groupPart+`(?: *\|\| *`+groupPart+`)*)?$`, 200, "the name of a service, with a requirement of its version if need be: identity >= 1.2")
	schemaForm      = newForm(`^[a-z][a-z0-9_]{0,39}$`, 40, "lower-case letters, digits and underscores, beginning with a letter, at most 40")
	permissionForm  = newForm(`^`+namePart+`\.`+wordPart+`\.`+wordPart+`$`, 200, "module.resource.action")
	patternForm     = newForm(`^(?:\*|`+namePart+`\.\*|`+namePart+`\.`+wordPart+`\.(?:\*|`+wordPart+`))$`, 200, "a permission, or a pattern of permissions: *, module.*, module.resource.*")
	roleForm        = newForm(`^`+namePart+`\.[a-z][a-z0-9_-]*$`, 128, "module.role")
	durationForm    = newForm(`^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+$`, 30, "a time such as 500ms, 5s or 1m30s")
	aliasForm       = newForm(`^/\.well-known/[A-Za-z0-9._~/-]+$`, 200, "a path that begins with /.well-known/ (RFC 8615)")
	procedureForm   = newForm(`^/[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+/[A-Za-z_][A-Za-z0-9_]*$`, 300, "a procedure such as /acme.notes.v1.NoteService/GetNote")
)

// ValidPattern tells whether s is a permission or a pattern of permissions: `*`, `module.*`, `module.resource.*`.
func ValidPattern(s string) bool { return patternForm.matches(s) }

// ValidVersion tells whether s is a semantic version as a manifest has it.
func ValidVersion(s string) bool { return versionForm.matches(s) }

// ValidPermission tells whether s is a permission, `module.resource.action`, and no pattern.
func ValidPermission(s string) bool { return permissionForm.matches(s) }
