package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule says what some packages must not import.
type rule struct {
	// who are the packages that the rule is about, except those of unless.
	who, unless []string
	// may be imported by tests all the same.
	notTests bool
	// never is what they must not import, except what but names.
	never, but []string
	// why is for whoever breaks the rule.
	why string
}

// core are the schemas of the services that every platform has.
var core = []string{
	"ashlar.dev/gen/go/ashlar/auth", "ashlar.dev/gen/go/ashlar/identity", "ashlar.dev/gen/go/ashlar/authz", "ashlar.dev/gen/go/ashlar/audit",
}

var rules = []rule{
	{
		who: []string{"ashlar.dev/gen"}, never: []string{"ashlar.dev"}, but: []string{"ashlar.dev/gen"},
		why: "generated code is what everybody stands on; it is used by front ends and other teams without the rest",
	},
	{
		who: []string{"ashlar.dev/kernel"}, never: []string{
			"ashlar.dev/ent", "ashlar.dev/platform", "ashlar.dev/services", "ashlar.dev/gateway", "ashlar.dev/allinone", "ashlar.dev/dev", "ashlar.dev/platformctl",
		},
		why: "imports run one way, cmd -> services -> platform -> ent, kernel -> gen: the kernel is infrastructure for any service",
	},
	{
		who: []string{"ashlar.dev/kernel"}, never: core,
		why: "the kernel knows no service by name: how a service plugs into the core services is platform's business",
	},
	{
		who: []string{"ashlar.dev/ent"}, never: append([]string{
			"ashlar.dev/platform", "ashlar.dev/services", "ashlar.dev/gateway", "ashlar.dev/allinone", "ashlar.dev/dev", "ashlar.dev/platformctl",
		}, core...),
		why: "ent is what every database of a service shares, and knows none of them",
	},
	{
		who: []string{"ashlar.dev/ent/mixin"}, never: []string{"ashlar.dev"},
		why: "mixins are compiled into the code generator together with a schema, so they must not need generated code",
	},
	{
		who:   []string{"ashlar.dev/platform"},
		never: []string{"ashlar.dev/services", "ashlar.dev/gateway", "ashlar.dev/allinone", "ashlar.dev/dev", "ashlar.dev/platformctl"},
		why:   "the platform calls core services through their schemas, so that each can be replaced, stopped and released alone",
	},
	{
		who:   []string{"ashlar.dev/services"},
		never: []string{"ashlar.dev/gateway", "ashlar.dev/platformctl"},
		why:   "a service does not know who stands in front of it or who starts it",
	},
	{
		who: []string{"ashlar.dev/gateway"}, never: []string{"ashlar.dev/services", "ashlar.dev/allinone", "ashlar.dev/platformctl", "ashlar.dev/ent"},
		why: "the gateway learns at run time which services there are; it has no data and no service of its own",
	},
	{
		who: []string{"ashlar.dev/gateway"}, notTests: true, never: core,
		why: "a new service is routable without touching the gateway, so it may not know any by its schema",
	},
	{
		who: []string{"ashlar.dev/kernel", "ashlar.dev/platform", "ashlar.dev/platformctl"}, notTests: true,
		never: []string{"ashlar.dev/gen/go/permissions"},
		why:   "platformctl writes these constants, so it must build where they are not there yet; and the kernel knows no service by name",
	},
	{
		who: []string{"ashlar.dev/platformctl"}, notTests: true, never: []string{"ashlar.dev/ent", "ashlar.dev/platform/service", "modernc.org/sqlite"},
		why: "services' programs open their databases, and platformctl asks them; to make roles and schemas it takes pgx alone",
	},
	{
		who: []string{"ashlar.dev"}, unless: []string{"ashlar.dev/allinone", "ashlar.dev/dev"}, notTests: true, never: []string{"ashlar.dev/allinone"},
		why: "all services in one process is for development and tests; nothing that is deployed may depend on it",
	},
	{
		who: []string{"ashlar.dev/services"}, never: []string{"ashlar.dev/allinone"}, but: []string{"ashlar.dev/allinone/ashlartest"},
		why: "tests of a service that want the whole platform take it from ashlartest, and do not put one together",
	},
	{
		who: []string{"ashlar.dev"}, unless: []string{"ashlar.dev/dev"}, never: []string{"ashlar.dev/dev"},
		why: "dev knows every module that this repository has; whoever imported it would depend on them all",
	},
	{
		who: []string{"ashlar.dev"}, unless: []string{"ashlar.dev/…/cmd", "ashlar.dev/kernel/lifecycle/fxadapter"},
		never: []string{"go.uber.org/fx", "go.uber.org/dig"},
		why:   "components are plain values that work without a container; fx hangs them together in cmd packages, by one adapter",
	},
	{
		who: []string{"ashlar.dev"}, notTests: true, never: []string{"testing", "github.com/stretchr/testify", "go.uber.org/goleak"},
		why: "what tests need does not belong into binaries; packages for tests have names that end in test",
	},
}

// noPlace are names of packages that say nothing about what is in them, so that everything ends up there.
var noPlace = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib"}

func TestImports(t *testing.T) {
	t.Parallel()
	folder := root(t)
	mods := modules(t, folder)
	files := sources(t, folder, mods)
	for _, problem := range check(append(rules, apart(mods)...), files) {
		t.Error(problem)
	}
	for _, s := range files {
		for _, imported := range s.imports {
			if forTests(imported) && !s.test {
				t.Errorf("%s imports %s, which is for tests: what tests need does not belong into binaries", s.file, imported)
			}
		}
	}
	require.Greater(t, len(files), 100, "the tree was really read")
}

// apart makes the rule that keeps services from importing each other, for each service of the workspace.
func apart(mods []module) []rule {
	var made []rule
	for _, m := range mods {
		if strings.HasPrefix(m.path, "ashlar.dev/services/") {
			made = append(made, rule{
				who: []string{m.path}, never: []string{"ashlar.dev/services"}, but: []string{m.path},
				why: "a service never imports another service, only its generated client: each is released and run alone",
			})
		}
	}
	return made
}

func TestNames(t *testing.T) {
	t.Parallel()
	folder := root(t)
	for _, s := range sources(t, folder, modules(t, folder)) {
		if problem := named(s); problem != "" {
			t.Error(problem)
		}
	}
}

func named(s source) string {
	last := s.pkg[strings.LastIndex(s.pkg, "/")+1:]
	for _, name := range []string{s.name, last} {
		if slices.Contains(noPlace, name) {
			return fmt.Sprintf("%s: a package named %q says nothing about what is in it: name it for what it holds", s.file, name)
		}
	}
	return ""
}

// check returns what breaks the rules, and rules that are about nothing any more: a rule whose packages are gone
// protects nobody, and nobody would notice.
func check(rules []rule, files []source) []string {
	var problems []string
	for i, r := range rules {
		covers, knows := false, map[string]bool{}
		for _, s := range files {
			for _, imported := range append(slices.Clone(s.imports), s.pkg) {
				for _, name := range r.never {
					knows[name] = knows[name] || within(imported, []string{name})
				}
			}
			if !within(s.pkg, r.who) || within(s.pkg, r.unless) {
				continue
			}
			covers = true
			if s.test && r.notTests {
				continue
			}
			for _, imported := range s.imports {
				if within(imported, r.never) && !within(imported, r.but) {
					problems = append(problems, fmt.Sprintf("%s imports %s: %s", s.file, imported, r.why))
				}
			}
		}
		if !covers {
			problems = append(problems, fmt.Sprintf("rule %d (%s): there is nothing that it is about: %v", i, r.why, r.who))
		}
		for _, name := range r.never {
			if !knows[name] {
				problems = append(problems, fmt.Sprintf("rule %d (%s): nobody has or imports %s any more: mend the rule", i, r.why, name))
			}
		}
		for _, name := range r.unless {
			if !slices.ContainsFunc(files, func(s source) bool { return within(s.pkg, []string{name}) }) {
				problems = append(problems, fmt.Sprintf("rule %d (%s): the exception %s does not exist any more: take it away", i, r.why, name))
			}
		}
	}
	return problems
}

// The check itself must be able to fail.
func TestTheCheck(t *testing.T) {
	t.Parallel()
	files := []source{
		{pkg: "ashlar.dev/kernel/rpc", file: "kernel/rpc/hub.go", imports: []string{"context", "ashlar.dev/gen/go/ashlar/kernel/v1"}},
		{pkg: "ashlar.dev/services/notes", file: "services/notes/notes.go", imports: []string{"ashlar.dev/services/notes/internal/api"}},
		{pkg: "ashlar.dev/services/shop", file: "services/shop/shop_test.go", test: true, imports: []string{"ashlar.dev/services/notes"}},
		{pkg: "ashlar.dev/services/shop/cmd/shop", file: "services/shop/cmd/shop/main.go", imports: []string{"go.uber.org/fx"}},
		{pkg: "ashlar.dev/services/shop/command", file: "services/shop/command/x.go", imports: []string{"go.uber.org/fx/fxevent"}},
		{pkg: "ashlar.dev/kernelling", file: "kernelling/x.go", imports: []string{"ashlar.dev/services/notes"}},
	}
	const because = "because"
	for name, test := range map[string]struct {
		rule rule
		says []string
	}{
		"kept": {rule{who: []string{"ashlar.dev/kernel"}, never: []string{"ashlar.dev/services"}, why: because}, nil},
		"broken by a test": {
			rule{who: []string{"ashlar.dev/services/shop"}, never: []string{"ashlar.dev/services"}, but: []string{"ashlar.dev/services/shop"}, why: because},
			[]string{"services/shop/shop_test.go imports ashlar.dev/services/notes: because"},
		},
		"tests may":       {rule{who: []string{"ashlar.dev/services/shop"}, notTests: true, never: []string{"ashlar.dev/services/notes"}, why: because}, nil},
		"imports its own": {rule{who: []string{"ashlar.dev/services/notes"}, never: []string{"ashlar.dev/services"}, but: []string{"ashlar.dev/services/notes"}, why: because}, nil},
		"an exception that fits whole folders only": {
			rule{who: []string{"ashlar.dev"}, unless: []string{"ashlar.dev/…/cmd"}, never: []string{"go.uber.org/fx"}, why: because},
			[]string{"services/shop/command/x.go imports go.uber.org/fx/fxevent: because"},
		},
		"nobody left":      {rule{who: []string{"ashlar.dev/gone"}, never: []string{"context"}, why: because}, []string{"rule 0 (because): there is nothing that it is about: [ashlar.dev/gone]"}},
		"nothing to avoid": {rule{who: []string{"ashlar.dev/kernel"}, never: []string{"ashlar.dev/gone"}, why: because}, []string{"rule 0 (because): nobody has or imports ashlar.dev/gone any more: mend the rule"}},
		"an old exception": {rule{who: []string{"ashlar.dev/kernel"}, unless: []string{"ashlar.dev/kernel/gone"}, never: []string{"go.uber.org/fx"}, why: because}, []string{"rule 0 (because): the exception ashlar.dev/kernel/gone does not exist any more: take it away"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.says, check([]rule{test.rule}, files))
		})
	}
	require.NotEmpty(t, named(source{pkg: "ashlar.dev/kernel/util", name: "other"}))
	require.NotEmpty(t, named(source{pkg: "ashlar.dev/kernel/other", name: "helpers"}))
	require.Empty(t, named(source{pkg: "ashlar.dev/kernel/utility", name: "utility"}))
}
