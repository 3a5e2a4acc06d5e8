package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/nearest"
)

// What the parser takes. A manifest has a few kilobytes and four levels; deep nesting takes it time that grows with the
// square of the depth.
const (
	maxBytes = 256 << 10
	maxDepth = 16
)

// Parse reads a module.yaml; file is its name in errors. It is strict: unknown keys, keys without a value, anchors, aliases
// and tags are faults. All faults of the file are in the error, which is a finding.List, in the order of their places.
func Parse(file string, data []byte) (*Manifest, error) {
	d := &document{file: file, places: map[string]finding.Place{}}
	m := d.parse(data)
	d.findings.Sort()
	if err := d.findings.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// MustParse is Parse for a module.yaml that is embedded in the binary; it panics where Parse fails.
func MustParse(data []byte) *Manifest {
	m, err := Parse("module.yaml", data)
	if err != nil {
		panic(err)
	}
	return m
}

func (d *document) parse(data []byte) *Manifest {
	whole := finding.Place{File: d.file}
	if len(data) > maxBytes {
		d.findings.Addf(whole, "the file has %d bytes, more than %d", len(data), maxBytes)
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if deep := tooDeep(tokens); deep != nil {
		d.findings.Addf(d.placeOf(deep), "no manifest has more than %d levels", maxDepth)
		return nil
	}
	// The parser would stop at the first key that is there twice; object finds all.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		if fault, ok := errors.AsType[yaml.Error](err); ok {
			d.findings.Addf(d.placeOf(fault.GetToken()), "no YAML: %s", fault.GetMessage())
		} else {
			d.findings.Addf(whole, "no YAML: %v", err)
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			d.findings.Addf(d.place(doc.Body), "a manifest is one YAML document, and here begins another")
			return nil
		default:
			body = doc.Body
		}
	}
	if body == nil {
		d.findings.Addf(whole, "the file says nothing: a manifest has at least a name and a version")
		return nil
	}
	return d.manifest(value{"", body})
}

// tooDeep returns the first bracket that is too many; nil where there is none.
func tooDeep(tokens token.Tokens) *token.Token {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		default:
		}
		if depth > maxDepth {
			return t
		}
	}
	return nil
}

func (d *document) manifest(v value) *Manifest {
	d.places[""] = d.place(v.node)
	fields := d.object(v, "name", "version", "description", "services", "dependsOn", "database", "permissions", "roles", "gateway")
	d.required(v, fields, "name", "version")
	m := &Manifest{
		Name:        d.text(fields["name"], nameForm),
		Version:     d.text(fields["version"], versionForm),
		Description: d.text(fields["description"], descriptionForm),
		file:        d.file,
		places:      d.places,
	}
	m.Services = d.services(fields["services"])
	m.DependsOn = d.dependencies(fields["dependsOn"], m.Name)
	m.Database = d.database(fields["database"])
	m.Permissions = d.permissions(fields["permissions"], m.Name)
	m.Roles = d.roles(fields["roles"], m)
	m.Gateway = d.gateway(fields["gateway"], m.Services)
	return m
}

// unique notes an item that is in a list for the second time.
func (d *document) unique(seen map[string]bool, v value, item string) {
	if item != "" && seen[item] {
		d.failf(v, "%q is there twice", item)
	}
	seen[item] = true
}

func (d *document) services(v value) []string {
	var services []string
	seen := map[string]bool{}
	for _, item := range d.list(v, maxServices) {
		name := d.text(item, serviceForm)
		d.unique(seen, item, name)
		if slices.Contains(Infrastructure(), name) {
			d.failf(item, "%q is served by every service and listed by none", name)
		}
		services = append(services, name)
	}
	return services
}

func (d *document) dependencies(v value, self string) []Dependency {
	var dependencies []Dependency
	seen := map[string]bool{}
	for _, item := range d.list(v, maxDependencies) {
		text, ok := d.plain(item, dependencyForm.want)
		if !ok {
			continue
		}
		dependency, err := ParseDependency(text)
		if err != nil {
			d.failf(item, "%v", err)
			continue
		}
		if dependency.Name == self {
			d.failf(item, "%s depends on itself", self)
		}
		d.unique(seen, item, dependency.Name)
		dependencies = append(dependencies, dependency)
	}
	return dependencies
}

func (d *document) database(v value) Database {
	fields := d.object(v, "schema")
	d.required(v, fields, "schema")
	return Database{Schema: d.text(fields["schema"], schemaForm)}
}

func (d *document) permissions(v value, module string) []Permission {
	var permissions []Permission
	seen := map[string]bool{}
	for _, item := range d.list(v, maxPermissions) {
		fields := d.object(item, "id", "description", "checkedBy")
		d.required(item, fields, "id", "description")
		permission := Permission{
			ID:          d.text(fields["id"], permissionForm),
			Description: d.text(fields["description"], descriptionForm),
			CheckedBy:   CheckedBy(d.word(fields["checkedBy"], string(ByCode))),
		}
		d.own(fields["id"], permission.ID, module)
		d.unique(seen, fields["id"], permission.ID)
		permissions = append(permissions, permission)
	}
	return permissions
}

// own notes a permission or role that does not begin with the module's name.
func (d *document) own(v value, id, module string) {
	if id == "" || module == "" || strings.HasPrefix(id, module+".") {
		return
	}
	_, rest, _ := strings.Cut(id, ".")
	d.suggestf(v, module+"."+rest, "%q does not belong to this module: want %s.%s", id, module, rest)
}

func (d *document) roles(v value, m *Manifest) []Role {
	var roles []Role
	seen := map[string]bool{}
	declared := Patterns(m.Permissions)
	for _, item := range d.list(v, maxRoles) {
		fields := d.object(item, "name", "description", "permissions")
		d.required(item, fields, "name", "permissions")
		role := Role{
			Name:        d.text(fields["name"], roleForm),
			Description: d.text(fields["description"], descriptionForm),
		}
		d.own(fields["name"], role.Name, m.Name)
		d.unique(seen, fields["name"], role.Name)
		has := map[string]bool{}
		for _, p := range d.list(fields["permissions"], maxRolePermissions) {
			pattern := d.text(p, patternForm)
			d.unique(has, p, pattern)
			role.Permissions = append(role.Permissions, pattern)
			if strings.HasPrefix(pattern, m.Name+".") && m.Name != "" {
				d.known(p, pattern, declared)
			}
		}
		roles = append(roles, role)
	}
	return roles
}

// known notes a pattern of this module that covers none of its permissions. Whether other modules declare what a role
// names of them is not to be seen in one file.
func (d *document) known(v value, pattern string, declared []string) {
	if slices.Contains(declared, pattern) {
		return
	}
	d.suggestf(v, nearest.To(pattern, declared...), "%q matches no permission that this module declares", pattern)
}

// Patterns returns the permissions and all patterns of them that name their module.
func Patterns(permissions []Permission) []string {
	var patterns []string
	seen := map[string]bool{}
	add := func(pattern string) {
		if !seen[pattern] {
			seen[pattern] = true
			patterns = append(patterns, pattern)
		}
	}
	for _, p := range permissions {
		parts := strings.Split(p.ID, ".")
		if len(parts) != 3 {
			continue
		}
		add(p.ID)
		add(parts[0] + "." + parts[1] + ".*")
		add(parts[0] + ".*")
	}
	return patterns
}

func (d *document) gateway(v value, services []string) Gateway {
	fields := d.object(v, "expose", "timeout", "rateLimit", "aliases", "procedures")
	return Gateway{
		Expose:     d.flag(fields["expose"]),
		Timeout:    d.duration(fields["timeout"]),
		RateLimit:  d.rateLimit(fields["rateLimit"]),
		Aliases:    d.aliases(fields["aliases"]),
		Procedures: d.procedures(fields["procedures"], services),
	}
}

func (d *document) rateLimit(v value) *RateLimit {
	if !v.there() {
		return nil
	}
	fields := d.object(v, "requests", "per", "burst")
	d.required(v, fields, "requests", "per", "burst")
	return &RateLimit{Requests: d.count(fields["requests"]), Per: d.duration(fields["per"]), Burst: d.count(fields["burst"])}
}

func (d *document) streamLimit(v value) *StreamLimit {
	if !v.there() {
		return nil
	}
	fields := d.object(v, "messages", "bytes")
	return &StreamLimit{Messages: d.amount(fields["messages"]), Bytes: d.amount(fields["bytes"])}
}

// amount reads a number that may be left out: any that JSON can say exactly.
func (d *document) amount(v value) *uint64 {
	if !v.there() {
		return nil
	}
	return new(d.number(v, 0, 1<<53-1))
}

func (d *document) aliases(v value) map[string]string {
	aliases := map[string]string{}
	for path, target := range d.entries(v, aliasForm, maxAliases) {
		aliases[path] = d.text(target, procedureForm)
	}
	return aliases
}

func (d *document) procedures(v value, services []string) map[string]Procedure {
	procedures := map[string]Procedure{}
	for name, policy := range d.entries(v, procedureForm, maxProcedures) {
		service, method, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
		if procedureForm.matches(name) && !slices.Contains(services, service) {
			suggestion := ""
			if near := nearest.To(service, services...); near != "" {
				suggestion = "/" + near + "/" + method
			}
			d.suggestf(policy, suggestion, "this module does not list the RPC service %s", service)
		}
		fields := d.object(policy, "timeout", "rateLimit", "priority", "hedgeAfter", "streamLimit")
		procedures[name] = Procedure{
			Timeout:     d.duration(fields["timeout"]),
			RateLimit:   d.rateLimit(fields["rateLimit"]),
			HedgeAfter:  d.duration(fields["hedgeAfter"]),
			StreamLimit: d.streamLimit(fields["streamLimit"]),
			Priority:    Priority(d.word(fields["priority"], string(Low), string(Normal), string(High))),
		}
	}
	return procedures
}

// entries reads a mapping whose keys are data of some form, at most the given number of them.
func (d *document) entries(v value, f form, most int) map[string]value {
	pairs := d.pairs(v)
	if len(pairs) > most {
		d.failf(v, "has %d entries, more than %d", len(pairs), most)
		return nil
	}
	entries := map[string]value{}
	for _, pair := range pairs {
		key, ok := d.key(pair)
		if !ok {
			continue
		}
		if !f.matches(key) {
			d.failf(value{v.path, pair.Key}, "%q is not as it should be: want %s", shortened(key), f.want)
		}
		if _, twice := entries[key]; twice {
			d.failf(value{v.path, pair.Key}, "the key %q is there twice", shortened(key))
		}
		entry := value{fmt.Sprintf("%s[%s]", v.path, key), pair.Value}
		d.places[entry.path] = d.place(entry.node)
		entries[key] = entry
	}
	return entries
}
