package scaffold

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// A service's program gets a file in .bin that has its name: it must not take the place of a tool that is built there.
func TestNamesOfTools(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../tools/build/targets.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	programs := map[string]bool{"build": true, "proto": true} // those of taskw and of task gen:imports
	for _, declaration := range file.Decls {
		if list, ok := declaration.(*ast.GenDecl); ok && list.Tok == token.VAR {
			ast.Inspect(list, func(node ast.Node) bool {
				for _, program := range programsOf(t, node) {
					programs[program] = true
				}
				return true
			})
		}
	}
	for _, known := range []string{"task", "consul", "buf", "protoc-gen-go", "protoexport", "ashlar-ent", "golangci-lint", "gateway"} {
		require.True(t, programs[known], "%s is not found in targets.go: has it another form?", known)
	}
	for program := range programs {
		if serviceForm.MatchString(program) {
			require.NotEmpty(t, reserved(program, taken), "%s would be overwritten in .bin by a service of this name", program)
		}
	}
}

// programsOf returns the names of the programs that a part of the list of targets builds.
func programsOf(t *testing.T, node ast.Node) []string {
	t.Helper()
	var packages []ast.Expr
	var module, output string
	switch n := node.(type) {
	case *ast.CallExpr:
		// tool("name", packages…) is of the module tools/name; ours("name", packages…).
		if callee, ok := n.Fun.(*ast.Ident); ok && (callee.Name == "tool" || callee.Name == "ours") {
			module, packages = literal(t, n.Args[0]), n.Args[1:]
		}
	case *ast.CompositeLit:
		for _, element := range n.Elts {
			field, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			switch key, _ := field.Key.(*ast.Ident); key.Name {
			case "name":
				module = literal(t, field.Value)
			case "output":
				output = literal(t, field.Value)
			case "packages":
				list, ok := field.Value.(*ast.CompositeLit)
				require.True(t, ok)
				packages = list.Elts
			}
		}
	}
	var out []string
	for _, each := range packages {
		switch name := path.Base(literal(t, each)); {
		case output != "":
			out = append(out, output)
		case name == ".":
			out = append(out, module)
		default:
			out = append(out, name)
		}
	}
	return out
}

func literal(t *testing.T, expression ast.Expr) string {
	t.Helper()
	text, ok := expression.(*ast.BasicLit)
	require.True(t, ok, "no constant")
	value, err := strconv.Unquote(text.Value)
	require.NoError(t, err)
	return value
}
