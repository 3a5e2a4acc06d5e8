package scaffold

import (
	"fmt"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"

	"ashlar.dev/platformctl/exit"
)

// Bounds of names. Ids begin with the resource, and have 64 characters at most, of which 27 are taken.
const (
	maxService     = 30
	maxResource    = 30
	maxPackage     = 60
	maxDescription = 200
)

var (
	serviceForm  = regexp.MustCompile(`^[a-z][a-z0-9]+$`)
	resourceForm = regexp.MustCompile(`^[a-z]{2,}(_[a-z]{2,})*$`)
	packageForm  = regexp.MustCompile(`^([a-z][a-z0-9]*\.)+v[1-9][0-9]?((alpha|beta)[1-9][0-9]?)?$`)
	domainForm   = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*$`)

	strange = regexp.MustCompile(`[^a-z0-9]+`)
)

// taken are names that no service can have, by why.
var taken = map[string][]string{
	"is a part of the platform": {
		"allinone", "ashlar", "ashlarctl", "audit", "auth", "authz", "conformance", "consul", "dev", "e2e", "ent", "gateway", "gen", "identity",
		"kernel", "platform", "platformctl", "scaffold", "services", "tools",
	},
	"is a program that the repository keeps in .bin": {
		"buf", "build", "connectconformance", "gotestsum", "proto", "protoexport", "referenceserver", "task",
	},
	"says nothing about what is in it": {
		"base", "common", "helper", "helpers", "lib", "misc", "shared", "util", "utils",
	},
	"means something to the go command": {"cmd", "internal", "main", "testdata", "vendor"},
	"names a package that the service itself imports": {
		"api", "config", "connect", "context", "database", "dbtest", "embed", "fieldmaskpb", "fs", "fx", "fxadapter", "manifest",
		"migrations", "require", "rpcerror", "schema", "service", "servicetest", "store", "strings", "sync", "testing",
	},
	"names something in the service's own code or tests": {"as", "cfg", "lists", "life", "read", "refusals", "start", "update", "write", "parsed", "module"},
}

// takenResources are what no resource can be, by why.
var takenResources = map[string][]string{
	"names something in the generated code": {
		// ent's own.
		"aggregatefunc", "as", "asc", "client", "config", "count", "debug", "desc", "driver", "hook", "interceptor", "log", "max",
		"mean", "min", "mutatefunc", "mutation", "mutator", "op", "option", "orderfunc", "policy", "query", "schema", "sum", "tx", "value",
		"enttest", "field", "migrate", "predicate", "runtime", "sqlgraph", "dialect",
		"outboxevent", "outboxlease",
	},
	"names a package or a variable of the code that handles it": {
		"after", "api", "audit", "authn", "authv", "changed", "changes", "connect", "context", "created", "database", "ent", "errors",
		"fmt", "found", "id", "ids", "limit", "next", "optional", "page", "reflect", "res", "row", "rpcerror", "sql", "store", "strings", "sync", "time",
		"trail", "translate", "update", "version",
	},
	"is what everything belongs to: its id is in each request already": {"organization"},
	"belongs to identity": {"user"},
}

// initialisms are words that Go writes in capitals, which schemas do not: the two kinds of code would differ.
var initialisms = []string{
	"acl", "api", "ascii", "aws", "cpu", "css", "dns", "eof", "gb", "guid", "hcl", "html", "http", "https", "id", "ip", "json", "kb",
	"lhs", "mac", "mb", "qps", "ram", "rhs", "rpc", "rtp", "sip", "sla", "smtp", "sql", "ssh", "sso", "tcp", "tls", "ts", "ttl", "udp",
	"ui", "gid", "uid", "uri", "url", "utf", "uuid", "vm", "xml", "xmpp", "xsrf", "xss", "db", "amqp",
}

// hidden are elements of packages that the go command hides, or passes over, where they are folders.
var hidden = []string{"internal", "testdata", "vendor"}

// foreign are the first elements of packages that belong to others.
var foreign = []string{"ashlar", "buf", "google", "grpc"}

// check refuses names that cannot be, whatever there is already.
func (n names) check() error {
	for _, err := range []error{n.checkService(), n.checkResource(), n.checkPackage(), n.checkDescription()} {
		if err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	return nil
}

func (n names) checkService() error {
	switch reason := reserved(n.Service, taken); {
	case !serviceForm.MatchString(n.Service):
		return fmt.Errorf("%q cannot be the name of a service: it is a folder, a Go package and the beginning of permissions, so it has "+
			"lower-case letters and digits only, at least two, and begins with a letter%s", n.Service, suggest(n.Service))
	case len(n.Service) > maxService:
		return fmt.Errorf("the name %q has %d characters, more than %d: find a shorter one", n.Service, len(n.Service), maxService)
	case reason != "":
		return fmt.Errorf("a service cannot be called %s, because that %s: name it for what it manages, such as %ss", n.Service, reason, n.Resource)
	case strings.HasSuffix(n.Service, "test"):
		return fmt.Errorf("a service cannot be called %s: packages whose names end in test are for tests", n.Service)
	}
	return nil
}

func (n names) checkResource() error {
	for i, value := range []string{n.Resource, n.Plural} {
		flag := []string{"--resource", "--plural"}[i]
		switch {
		case !resourceForm.MatchString(value):
			return fmt.Errorf("%s=%q: write lower-case words of letters, with _ between them, such as order or purchase_order%s",
				flag, value, suggest(value))
		case len(value) > maxResource:
			return fmt.Errorf("%s=%q has %d characters, more than %d: find a shorter one", flag, value, len(value), maxResource)
		}
	}
	for word := range strings.SplitSeq(n.Resource, "_") {
		if slices.Contains(initialisms, word) {
			return fmt.Errorf("--resource=%q: Go writes %s where schemas have %s, and the two would not fit together: find another word",
				n.Resource, strings.ToUpper(word), pascal(word))
		}
	}
	reason := reserved(n.EntPackage(), takenResources)
	switch {
	case n.Resource == n.Plural:
		return fmt.Errorf("--resource=%q: the plural is the same word, but one and many need different names: say another with --plural", n.Resource)
	case reason != "":
		return fmt.Errorf("--resource=%q cannot be, because that %s: find a more precise word, such as %s_%s",
			n.Resource, reason, strings.TrimSuffix(n.Service, "s"), n.Resource)
	case strings.HasSuffix(n.Resource, "test"):
		return fmt.Errorf("--resource=%q: packages whose names end in test are for tests", n.Resource)
	}
	return nil
}

func (n names) checkPackage() error {
	elements := strings.Split(n.ProtoPackage, ".")
	switch {
	case !packageForm.MatchString(n.ProtoPackage):
		return fmt.Errorf("--package=%q: write lower-case words with dots between them and a version at the end, such as acme.%s.v1",
			n.ProtoPackage, n.Service)
	case len(n.ProtoPackage) > maxPackage:
		return fmt.Errorf("--package=%q has %d characters, more than %d: find a shorter one", n.ProtoPackage, len(n.ProtoPackage), maxPackage)
	case slices.Contains(foreign, elements[0]):
		return fmt.Errorf("--package=%q: packages that begin with %s belong to others: begin with your team's or company's name, such as acme",
			n.ProtoPackage, elements[0])
	case slices.ContainsFunc(elements, func(element string) bool { return slices.Contains(hidden, element) }):
		return fmt.Errorf("--package=%q: its elements become folders of Go code, where %s mean something to the go command: find other words",
			n.ProtoPackage, strings.Join(hidden, ", "))
	}
	return nil
}

func (n names) checkDescription() error {
	if len(n.Description) > maxDescription || strings.ContainsFunc(n.Description, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("--description: write one line of at most %d characters", maxDescription)
	}
	return nil
}

// reserved tells why a name cannot be used, or "".
func reserved(name string, lists map[string][]string) string {
	switch {
	case token.Lookup(name).IsKeyword():
		return "is a keyword of Go"
	case types.Universe.Lookup(name) != nil:
		return "means something in Go already"
	}
	for reason, list := range lists {
		if slices.Contains(list, name) {
			return reason
		}
	}
	return ""
}

// suggest proposes what a name that cannot be could have meant.
func suggest(name string) string {
	meant := strings.TrimLeft(strange.ReplaceAllString(strings.ToLower(name), ""), "0123456789")
	if !serviceForm.MatchString(meant) || meant == name {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", meant)
}
