package provision

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"
)

// DefaultRolePrefix begins the names of roles where nobody says otherwise.
const DefaultRolePrefix = "ashlar"

// Lock keys among advisory locks ("ashlar", and one of those that this platform takes), held while a database is
// provisioned.
const (
	lockClass = 0x617368
	lockOne   = 0x70726f76
)

// Service is one service that is to have a role and a schema.
type Service struct {
	// Name is the service's name, Schema the one that its manifest asks for.
	Name, Schema string
	// File is where its address is written.
	File string
}

// Plan is what is to be there.
type Plan struct {
	Services []Service
	// RolePrefix begins the names of roles; what follows is an underscore and the service's name. Platforms that share a
	// server need different ones, because roles belong to the server.
	RolePrefix string
}

var (
	//go:embed provision.sql.tmpl
	script   string
	rendered = template.Must(template.New("provision").Funcs(template.FuncMap{"ident": ident, "literal": literal}).Parse(script))

	prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,19}$`)
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
)

// Role is the name of the role of a service.
func (p Plan) Role(service string) string { return p.RolePrefix + "_" + service }

// SQL is the script for a database. It holds no password, and no role in it has one.
func (p Plan) SQL(database string) (string, error) {
	if err := p.check(); err != nil {
		return "", err
	}
	if strings.ContainsFunc(database, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.Contains(database, "$ashlar$") || database == "" {
		return "", fmt.Errorf("%q is no name of a database", database)
	}
	type service struct{ Name, Schema, Role string }
	data := struct {
		Database, Prefix, Lock string
		Services               []service
	}{Database: database, Prefix: p.RolePrefix + "_", Lock: fmt.Sprintf("%d, %d", lockClass, lockOne)}
	for _, s := range p.Services {
		data.Services = append(data.Services, service{Name: s.Name, Schema: s.Schema, Role: p.Role(s.Name)})
	}
	var text strings.Builder
	if err := rendered.Execute(&text, data); err != nil {
		return "", err
	}
	return text.String(), nil
}

// check refuses what would not keep services apart.
func (p Plan) check() error {
	if !prefixForm.MatchString(p.RolePrefix) {
		return fmt.Errorf("%q cannot begin the names of roles: want lower-case letters, digits and underscores, beginning with a letter, at most 20", p.RolePrefix)
	}
	if len(p.Services) == 0 {
		return errors.New("there is no service with a database")
	}
	of := map[string]string{}
	for _, s := range p.Services {
		switch {
		case !nameForm.MatchString(s.Name):
			return fmt.Errorf("%q is no name of a service", s.Name)
		case !nameForm.MatchString(s.Schema), s.Schema == "public", s.Schema == "information_schema", strings.HasPrefix(s.Schema, "pg_"):
			return fmt.Errorf("%s: the schema %q is PostgreSQL's own, or no name of a schema: give it another database.schema in module.yaml", s.Name, s.Schema)
		case of[s.Schema] != "":
			return fmt.Errorf("%s and %s have the same database.schema %q in module.yaml: each service needs its own", of[s.Schema], s.Name, s.Schema)
		}
		of[s.Schema] = s.Name
	}
	return nil
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal writes text as a literal of standard SQL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
