package manifest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Dependency is a service that must be ready before another starts, and the versions of it that will do.
type Dependency struct {
	Name string
	// Requirement is which versions will do; empty: any.
	Requirement Requirement
}

// ParseDependency reads the one-line form: `identity`, or `identity >= 1.2`.
func ParseDependency(s string) (Dependency, error) {
	name, rest, required := strings.Cut(s, " ")
	if !nameForm.re.MatchString(name) {
		return Dependency{}, fmt.Errorf("%q does not begin with the name of a service: want `identity`, or `identity >= 1.2`", s)
	}
	if !required {
		return Dependency{Name: name}, nil
	}
	if !dependencyForm.re.MatchString(s) || len(s) > dependencyForm.max {
		return Dependency{}, fmt.Errorf("%q: %q is no requirement of a version such as `>= 1.2`, `^1.4`, `~1.4.2` or `>= 1.2, < 3`", s, rest)
	}
	requirement := Requirement(canonical(rest))
	if _, err := semver.NewConstraint(string(requirement)); err != nil {
		return Dependency{}, fmt.Errorf("%q: %w", s, err)
	}
	return Dependency{Name: name, Requirement: requirement}, nil
}

// String returns the one-line form, which is always written the same way.
func (d Dependency) String() string {
	if d.Requirement == "" {
		return d.Name
	}
	return d.Name + " " + string(d.Requirement)
}

// Requirement says which versions of a service will do, in the language of github.com/Masterminds/semver: comparisons
// with =, !=, >, >=, <, <=, ^ and ~, joined by commas (all must hold) and || (one of them must). The empty one is
// content with any version, and with none.
//
// A pre-release such as 1.3.0-rc.1 is not what `>= 1.2` asks for: it satisfies a requirement only where a comparison in
// the same group of commas names a pre-release itself. `>= 1.2.0-0` takes all pre-releases from 1.2.0's on.
type Requirement string

// Allows tells whether a version will do. What is no version satisfies no requirement, and a requirement that is none is
// satisfied by nothing.
func (r Requirement) Allows(version string) bool {
	if r == "" {
		return true
	}
	constraint, err := semver.NewConstraint(string(r))
	if err != nil {
		return false
	}
	v, err := semver.StrictNewVersion(version)
	return err == nil && constraint.Check(v)
}

var comparison = regexp.MustCompile(`^ *(>=|<=|!=|=|>|<|\^|~) *(.*?) *$`)

// canonical writes a requirement that has the form of one the way it is always written: `>= 1.2, < 3 || ^4.1`.
func canonical(requirement string) string {
	groups := strings.Split(requirement, "||")
	for i, group := range groups {
		terms := strings.Split(group, ",")
		for j, term := range terms {
			parts := comparison.FindStringSubmatch(term)
			operator, version := parts[1], parts[2]
			if operator != "^" && operator != "~" {
				operator += " "
			}
			terms[j] = operator + version
		}
		groups[i] = strings.Join(terms, ", ")
	}
	return strings.Join(groups, " || ")
}
