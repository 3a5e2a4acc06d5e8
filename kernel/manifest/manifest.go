// Package manifest reads module.yaml, in which every service says what it is: its RPC services, what it depends on,
// which permissions and roles it brings, and how the gateway treats it.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
)

// maxBytes bounds a module.yaml; the largest in the field has a few kilobytes.
const maxBytes = 1 << 20

// Manifest is the content of a module.yaml.
type Manifest struct {
	Name        string       `yaml:"name"`
	Version     string       `yaml:"version"`
	Description string       `yaml:"description"`
	Services    []string     `yaml:"services"`
	DependsOn   []string     `yaml:"dependsOn"`
	Database    Database     `yaml:"database"`
	Permissions []Permission `yaml:"permissions"`
	Roles       []Role       `yaml:"roles"`
	Gateway     Gateway      `yaml:"gateway"`
}

// Database says where the service keeps its data. The zero value is a service without a database.
type Database struct {
	Schema string `yaml:"schema"`
}

// Permission is something that a caller may be allowed to do; its id has the form module.resource.action.
type Permission struct {
	ID          string `yaml:"id"`
	Description string `yaml:"description"`
}

// Role is a named set of permissions, or patterns of them, that the service brings along.
type Role struct {
	Name        string   `yaml:"name"`
	Description string   `yaml:"description"`
	Permissions []string `yaml:"permissions"`
}

// Gateway is how the gateway treats requests for the service.
type Gateway struct {
	Expose    bool              `yaml:"expose"`
	Timeout   time.Duration     `yaml:"timeout"`
	RateLimit *RateLimit        `yaml:"rateLimit"`
	Aliases   map[string]string `yaml:"aliases"`
}

// RateLimit allows Requests each Per, and Burst at once.
type RateLimit struct {
	Requests uint32        `yaml:"requests"`
	Per      time.Duration `yaml:"per"`
	Burst    uint32        `yaml:"burst"`
}

var (
	nameForm       = regexp.MustCompile(`^[a-z][a-z0-9]{0,39}$`)
	versionForm    = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	schemaForm     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	permissionForm = regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`)
	patternForm    = regexp.MustCompile(`^(\*|[a-z][a-z0-9]*\.\*|[a-z][a-z0-9]*\.[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*))$`)
	roleForm       = regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z][a-z0-9_-]*$`)
	procedureForm  = regexp.MustCompile(`^/[A-Za-z_][\w.]*/[A-Za-z_]\w*$`)
)

// ValidPattern tells whether s is a permission or a pattern of permissions: `*`, `module.*`, `module.resource.*`.
func ValidPattern(s string) bool { return patternForm.MatchString(s) }

// Parse reads a module.yaml. Unknown keys are errors, and errors carry the line.
func Parse(data []byte) (*Manifest, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("module.yaml has %d bytes, more than %d", len(data), maxBytes)
	}
	var m Manifest
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&m); err != nil {
		return nil, fmt.Errorf("module.yaml: %s", yaml.FormatError(err, false, true))
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("module.yaml: %w", err)
	}
	return &m, nil
}

// MustParse is Parse for a manifest that is embedded in the binary; it panics where Parse fails.
func MustParse(data []byte) *Manifest {
	m, err := Parse(data)
	if err != nil {
		panic(err)
	}
	return m
}

func (m *Manifest) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if !nameForm.MatchString(m.Name) {
		fail("name %q: want lower-case letters and digits, beginning with a letter", m.Name)
	}
	if !versionForm.MatchString(m.Version) {
		fail("version %q: want a semantic version such as 1.0.0", m.Version)
	}
	for _, s := range m.Services {
		if !protoreflect.FullName(s).IsValid() || !strings.Contains(s, ".") {
			fail("services: %q is no fully-qualified name such as acme.notes.v1.NoteService", s)
		}
	}
	for _, d := range m.DependsOn {
		if !nameForm.MatchString(d) {
			fail("dependsOn: %q is no service name", d)
		}
		if d == m.Name {
			fail("dependsOn: %s depends on itself", d)
		}
	}
	if m.Database.Schema != "" && !schemaForm.MatchString(m.Database.Schema) {
		fail("database.schema %q: want lower-case letters, digits and underscores", m.Database.Schema)
	}
	for _, p := range m.Permissions {
		if !permissionForm.MatchString(p.ID) || !strings.HasPrefix(p.ID, m.Name+".") {
			fail("permissions: %q: want %s.resource.action", p.ID, m.Name)
		}
		if p.Description == "" {
			fail("permissions: %q has no description", p.ID)
		}
	}
	for _, r := range m.Roles {
		if !roleForm.MatchString(r.Name) || !strings.HasPrefix(r.Name, m.Name+".") {
			fail("roles: %q: want %s.role", r.Name, m.Name)
		}
		for _, p := range r.Permissions {
			if !ValidPattern(p) {
				fail("roles: %s: %q is neither a permission nor a pattern such as %s.*", r.Name, p, m.Name)
			}
		}
	}
	errs = append(errs, duplicates("services", m.Services), duplicates("dependsOn", m.DependsOn),
		duplicates("permissions", ids(m.Permissions, func(p Permission) string { return p.ID })),
		duplicates("roles", ids(m.Roles, func(r Role) string { return r.Name })), m.Gateway.validate())
	return errors.Join(errs...)
}

func (g Gateway) validate() error {
	var errs []error
	if g.Timeout < 0 {
		errs = append(errs, fmt.Errorf("gateway.timeout %s is negative", g.Timeout))
	}
	if l := g.RateLimit; l != nil && (l.Requests == 0 || l.Per <= 0 || l.Burst == 0) {
		errs = append(errs, errors.New("gateway.rateLimit: requests, per and burst must be above zero"))
	}
	for path, procedure := range g.Aliases {
		if !strings.HasPrefix(path, "/.well-known/") {
			errs = append(errs, fmt.Errorf("gateway.aliases: path %q does not begin with /.well-known/ (RFC 8615)", path))
		}
		if !procedureForm.MatchString(procedure) {
			errs = append(errs, fmt.Errorf("gateway.aliases: %q is no procedure such as /acme.notes.v1.NoteService/GetNote", procedure))
		}
	}
	return errors.Join(errs...)
}

func ids[T any](items []T, id func(T) string) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = id(item)
	}
	return out
}

func duplicates(where string, items []string) error {
	sorted := slices.Sorted(slices.Values(items))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return fmt.Errorf("%s: %q is there twice", where, sorted[i])
		}
	}
	return nil
}

// Proto returns the manifest as other services see it.
func (m *Manifest) Proto() *kernelv1.Manifest {
	out := &kernelv1.Manifest{
		Name: m.Name, Version: m.Version, Description: m.Description, Services: m.Services, DependsOn: m.DependsOn,
		Permissions: m.ProtoPermissions(), Roles: m.ProtoRoles(),
		Gateway: &kernelv1.GatewayPolicy{Expose: m.Gateway.Expose, Aliases: m.Gateway.Aliases},
	}
	if m.Gateway.Timeout > 0 {
		out.Gateway.Timeout = durationpb.New(m.Gateway.Timeout)
	}
	if l := m.Gateway.RateLimit; l != nil {
		out.Gateway.RateLimit = &kernelv1.RateLimit{Requests: l.Requests, Per: durationpb.New(l.Per), Burst: l.Burst}
	}
	return out
}

// ProtoPermissions returns the permissions as other services see them.
func (m *Manifest) ProtoPermissions() []*kernelv1.Permission {
	out := make([]*kernelv1.Permission, len(m.Permissions))
	for i, p := range m.Permissions {
		out[i] = &kernelv1.Permission{Id: p.ID, Description: p.Description}
	}
	return out
}

// ProtoRoles returns the roles as other services see them.
func (m *Manifest) ProtoRoles() []*kernelv1.Role {
	out := make([]*kernelv1.Role, len(m.Roles))
	for i, r := range m.Roles {
		out[i] = &kernelv1.Role{Name: r.Name, Description: r.Description, Permissions: r.Permissions}
	}
	return out
}
