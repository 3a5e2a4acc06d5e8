package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// A target is what is built in one run of the go command: some programs of one module, or those of the workspace.
type target struct {
	name     string
	module   string        // the folder of the module, below the root; empty for the workspace
	packages []string      // import paths, or folders that begin with "./"
	found    string        // a pattern of folders below the root; those with a program are packages, too
	output   string        // the program's file name, where it is not the last element of its package
	sources  []string      // folders below the root that the programs are built from
	flags    []string      // more flags of `go build`
	env      []string      // more environment
	takes    time.Duration // the first build on 2 cores, measured; zero: not worth mentioning
	anyGo    bool          // it is not built again only because there is another Go
	unneeded func() string // why this machine can do without; empty where it cannot
}

// targets are all targets there are.
var targets = []target{
	tool("task", "github.com/go-task/task/v3/cmd/task").lasting(2 * time.Minute),
	{
		name: "consul", module: "tools/consul", sources: []string{"tools/consul"}, takes: 8 * time.Minute,
		packages: []string{"github.com/hashicorp/consul"}, anyGo: true, unneeded: otherConsul,
	},
	tool("buf", "github.com/bufbuild/buf/cmd/buf").lasting(2 * time.Minute),
	tool(
		"protoc",
		"connectrpc.com/connect/v2/cmd/protoc-gen-connect-go",
		"google.golang.org/protobuf/cmd/protoc-gen-go",
	),
	tool("protoexport", "."),
	tool(
		"conformance",
		"connectrpc.com/conformance/cmd/connectconformance",
		"connectrpc.com/conformance/cmd/referenceserver",
	).lasting(time.Minute),
	{
		name: "bufplugin", module: "tools/bufplugin", sources: []string{"tools/bufplugin", "kernel", "gen/go", "gen/go.mod", "gen/go.sum"},
		packages: []string{"."}, output: "buf-plugin-ashlar",
	},
	{
		name: "entgo", module: "tools/entgo", sources: []string{"tools/entgo", "ent/pgserver"},
		packages: []string{"."}, output: "ashlar-ent",
	},
	tool("golangci", "github.com/golangci/golangci-lint/v2/cmd/golangci-lint").lasting(2 * time.Minute),
	tool("gotestsum", "gotest.tools/gotestsum"),

	ours("services", "./gateway/cmd/gateway", "./platformctl/cmd/platformctl").
		with("services/*/cmd/*").lasting(3 * time.Minute),
	ours("dev", "./dev/cmd/ashlar-dev").lasting(3 * time.Minute),
}

// tool is a target whose module is the folder of the same name under tools/, outside the workspace: its dependencies
// must not mix with ours.
func tool(name string, packages ...string) target {
	folder := "tools/" + name

	return target{name: name, module: folder, packages: packages, sources: []string{folder}}
}

// ours are programs of the workspace: one static file each.
func ours(name string, packages ...string) target {
	return target{
		name:     name,
		packages: packages,
		sources: []string{
			"gen/go", "kernel", "ent", "platform", "services", "gateway", "allinone", "dev", "platformctl",
			"gen/go.mod", "gen/go.sum", "go.work", "go.work.sum",
		},
		flags: []string{"-trimpath", "-buildvcs=false"},
		env:   []string{"CGO_ENABLED=0"},
	}
}

// with adds the programs in the folders that match a pattern.
func (t target) with(pattern string) target {
	t.found = pattern

	return t
}

// complete returns the target with the programs that are found below the root, in the order of their names.
func (t target) complete(root string) (target, error) {
	if t.found == "" {
		return t, nil
	}
	folders, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(t.found)))
	if err != nil {
		return target{}, fmt.Errorf("find the programs of %s: %w", t.name, err)
	}
	t.packages = slices.Clone(t.packages)
	for _, folder := range folders {
		// A folder that git has left, of a service of another branch, has none.
		if sources, err := filepath.Glob(filepath.Join(folder, "*.go")); err != nil || len(sources) == 0 {
			continue
		}
		name, err := filepath.Rel(root, folder)
		if err != nil {
			return target{}, fmt.Errorf("find the programs of %s: %w", t.name, err)
		}
		t.packages = append(t.packages, "./"+filepath.ToSlash(name))
	}

	return t, nil
}

func (t target) lasting(takes time.Duration) target {
	t.takes = takes

	return t
}

// otherConsul tells which Consul there is already. platformctl looks in the same places.
func otherConsul() string {
	for _, variable := range []string{"ASHLAR_CONSUL_ADDR", "CONSUL_HTTP_ADDR"} {
		if os.Getenv(variable) != "" {
			return variable + " names one"
		}
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return path + " is on PATH"
	}

	return ""
}

func lookup(name string) (target, bool) {
	i := slices.IndexFunc(targets, func(each target) bool { return each.name == name })
	if i < 0 {
		return target{}, false
	}

	return targets[i], true
}

func names() []string {
	all := make([]string, 0, len(targets))
	for _, each := range targets {
		all = append(all, each.name)
	}

	return all
}
