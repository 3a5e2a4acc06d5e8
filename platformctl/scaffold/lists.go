package scaffold

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"ashlar.dev/platformctl/exit"
)

// The files that list the repository's services. Everything else finds a service by its folder.
const (
	workFile    = "go.work"
	devModule   = "dev/go.mod"
	devProgram  = "dev/cmd/ashlar-dev"
	modulesFile = devProgram + "/modules.go"
	modulesVar  = "modules"
)

// lists returns what the files that list the repository's services become with the new one.
func (n names) lists(root string) (files, error) {
	tree := os.DirFS(root)
	out := files{}
	for name, change := range map[string]func([]byte) ([]byte, error){
		workFile: n.workspace, devModule: n.devRequirement, modulesFile: n.devModules,
	} {
		before, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		if out[name], err = change(before); err != nil {
			return nil, fmt.Errorf("add the service to %s: %w", filepath.Join(root, name), err)
		}
	}
	return out, n.checkDevNames(tree)
}

// workspace is go.work with the new service.
func (n names) workspace(before []byte) ([]byte, error) {
	work, err := modfile.ParseWork(workFile, before, nil)
	if err != nil {
		return nil, err
	}
	if err := work.AddUse("./"+n.ServiceFolder(), ""); err != nil {
		return nil, err
	}
	work.SortBlocks()
	work.Cleanup()
	return modfile.Format(work.Syntax), nil
}

// devRequirement is the go.mod of ashlar-dev with the new service.
func (n names) devRequirement(before []byte) ([]byte, error) {
	mod, err := modfile.Parse(devModule, before, nil)
	if err != nil {
		return nil, err
	}
	if err := mod.AddRequire(n.GoModule(), "v0.0.0"); err != nil {
		return nil, err
	}
	if err := mod.AddReplace(n.GoModule(), "", "../"+n.ServiceFolder(), ""); err != nil {
		return nil, err
	}
	mod.SortBlocks()
	mod.Cleanup()
	return mod.Format()
}

// devModules is the file of ashlar-dev that lists modules, with the new one.
func (n names) devModules(before []byte) ([]byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, modulesFile, before, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	list := listOf(file)
	if list == nil {
		return nil, fmt.Errorf("there is no list var %s = []service.Module{…}", modulesVar)
	}
	offset := func(pos token.Pos) int { return set.Position(pos).Offset }
	end := offset(list.Rbrace)
	head := bytes.TrimRight(before[:end], " \t\r\n")
	if !bytes.HasSuffix(head, []byte("{")) && !bytes.HasSuffix(head, []byte(",")) {
		head = append(slices.Clone(head), ',')
	}
	after := slices.Concat(head, []byte("\n\t"+n.Service+".Module(),\n"), before[end:])
	// All imports are in one block, so that gofmt can sort them.
	first, last := file.Imports[0], file.Imports[len(file.Imports)-1]
	imports := []string{fmt.Sprintf("%q", n.GoModule())}
	for _, spec := range file.Imports {
		imports = append(imports, string(before[offset(spec.Pos()):offset(spec.End())]))
	}
	from, to := importDecl(file, first), importDecl(file, last)
	block := "import (\n\t" + strings.Join(imports, "\n\t") + "\n)"
	return format.Source(slices.Concat(after[:offset(from.Pos())], []byte(block), after[offset(to.End()):]))
}

// listOf returns the list of modules.
func listOf(file *ast.File) *ast.CompositeLit {
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.VAR {
			continue
		}
		for _, spec := range general.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if ok && len(value.Names) == 1 && value.Names[0].Name == modulesVar && len(value.Values) == 1 {
				list, _ := value.Values[0].(*ast.CompositeLit)
				return list
			}
		}
	}
	return nil
}

// importDecl returns the declaration that an import is in.
func importDecl(file *ast.File, spec *ast.ImportSpec) ast.Decl {
	for _, declaration := range file.Decls {
		if declaration.Pos() <= spec.Pos() && spec.End() <= declaration.End() {
			return declaration
		}
	}
	return nil
}

// checkDevNames refuses names of what ashlar-dev declares: it imports the service by its name.
func (n names) checkDevNames(tree fs.FS) error {
	sources, err := fs.Glob(tree, devProgram+"/*.go")
	if err != nil {
		return err
	}
	for _, name := range sources {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if declares(declaration, n.Service) {
				return exit.With(exit.Usage, fmt.Errorf("a service cannot be called %s, because %s, which lists all services, has something "+
					"of this name: find another", n.Service, name))
			}
		}
	}
	return nil
}

func declares(declaration ast.Decl, name string) bool {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		return d.Recv == nil && d.Name.Name == name
	case *ast.GenDecl:
		return slices.ContainsFunc(d.Specs, func(spec ast.Spec) bool {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				return s.Name.Name == name
			case *ast.ValueSpec:
				return slices.ContainsFunc(s.Names, func(ident *ast.Ident) bool { return ident.Name == name })
			default:
				return false
			}
		})
	default:
		return false
	}
}
