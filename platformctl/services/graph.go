package services

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/workspace"
)

// Graph is the command that shows dependencies.
type Graph struct {
	Where
	workspace.Flag

	Live   bool   `help:"Show the platform that runs, instead of the repository."`
	Format string `help:"How to show it: text (a tree), mermaid or dot (Graphviz)." enum:"text,mermaid,dot" default:"text"`
}

// node is a service and what it depends on.
type node struct {
	name  string
	needs []edge
}

// edge is a dependency, with the versions that will do; "" means any.
type edge struct{ name, versions string }

// Help implements kong.HelpProvider.
func (*Graph) Help() string {
	return `Example:

  platformctl services graph --format mermaid`
}

// Run implements the command.
func (g *Graph) Run(ctx context.Context, streams *output.Streams) error {
	read := g.repository
	if g.Live {
		read = g.running
	}
	nodes, err := read(ctx)
	if err != nil {
		return err
	}
	switch g.Format {
	case "mermaid":
		return mermaid(streams.Out, nodes)
	case "dot":
		return dot(streams.Out, nodes)
	default:
		return tree(streams.Out, nodes)
	}
}

// repository reads the dependencies that manifests name.
func (g *Graph) repository(context.Context) ([]node, error) {
	w, err := g.Open()
	if err != nil {
		return nil, err
	}
	if _, err := manifest.Resolve(w.Manifests(), manifest.Rules{}); err != nil {
		return nil, exit.With(exit.Invalid, err)
	}
	var nodes []node
	for _, m := range w.Manifests() {
		n := node{name: m.Name}
		for _, d := range m.DependsOn {
			n.needs = append(n.needs, edge{d.Name, string(d.Requirement)})
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// running reads the dependencies that instances name.
func (g *Graph) running(ctx context.Context) ([]node, error) {
	services, err := g.services(ctx)
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, s := range services {
		n := node{name: s.Name}
		for _, d := range s.DependsOn {
			n.needs = append(n.needs, edge{name: d})
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// tree writes what each service that nobody depends on needs, and what that needs. What a service needs is written once.
func tree(out io.Writer, nodes []node) error {
	byName := map[string]node{}
	needed := map[string]bool{}
	for _, n := range nodes {
		byName[n.name] = n
		for _, e := range n.needs {
			needed[e.name] = true
		}
	}
	var text strings.Builder
	written := map[string]bool{}
	var branches func(n node, indent string)
	branches = func(n node, indent string) {
		written[n.name] = true
		for i, e := range n.needs {
			branch, below := "├── ", "│   "
			if i == len(n.needs)-1 {
				branch, below = "└── ", "    "
			}
			text.WriteString(indent + branch + output.Clean(strings.TrimSpace(e.name+" "+e.versions)))
			next, known := byName[e.name]
			switch {
			case !known:
				text.WriteString(" (not there)\n")
			case written[e.name] && len(next.needs) > 0:
				text.WriteString(" (see above)\n")
			default:
				text.WriteString("\n")
				branches(next, indent+below)
			}
		}
	}
	for _, n := range nodes {
		if !needed[n.name] {
			text.WriteString(output.Clean(n.name) + "\n")
			branches(n, "")
		}
	}
	for _, n := range nodes { // those in a circle, which a platform that runs can have
		if !written[n.name] {
			text.WriteString(output.Clean(n.name) + "\n")
			branches(n, "")
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// mermaid writes a flowchart (mermaid.js.org). Names are quoted, and nodes numbered: a name may be a word of the language.
func mermaid(out io.Writer, nodes []node) error {
	var text strings.Builder
	text.WriteString("flowchart TD\n")
	ids := numbers(nodes)
	for _, name := range sorted(ids) {
		fmt.Fprintf(&text, "  n%d[%s]\n", ids[name], mermaidText(name))
	}
	for _, n := range nodes {
		for _, e := range n.needs {
			label := ""
			if e.versions != "" {
				label = "|" + mermaidText(e.versions) + "|"
			}
			fmt.Fprintf(&text, "  n%d -->%s n%d\n", ids[n.name], label, ids[e.name])
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func mermaidText(text string) string {
	return `"` + strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(output.Clean(text)) + `"`
}

// dot writes a graph for Graphviz.
func dot(out io.Writer, nodes []node) error {
	var text strings.Builder
	text.WriteString("digraph services {\n")
	for _, name := range sorted(numbers(nodes)) {
		fmt.Fprintf(&text, "  %s;\n", dotText(name))
	}
	for _, n := range nodes {
		for _, e := range n.needs {
			label := ""
			if e.versions != "" {
				label = " [label=" + dotText(e.versions) + "]"
			}
			fmt.Fprintf(&text, "  %s -> %s%s;\n", dotText(n.name), dotText(e.name), label)
		}
	}
	text.WriteString("}\n")
	_, err := io.WriteString(out, text.String())
	return err
}

func dotText(text string) string { return strconv.Quote(output.Clean(text)) }

// numbers gives each name a number, in the order of names.
func numbers(nodes []node) map[string]int {
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
		for _, e := range n.needs {
			names = append(names, e.name)
		}
	}
	slices.Sort(names)
	ids := map[string]int{}
	for i, name := range slices.Compact(names) {
		ids[name] = i
	}
	return ids
}

func sorted(ids map[string]int) []string {
	names := make([]string, len(ids))
	for name, i := range ids {
		names[i] = name
	}
	return names
}
