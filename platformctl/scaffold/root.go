package scaffold

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"

	"ashlar.dev/platformctl/exit"
)

// model is the service whose go.mod and go.sum a new one begins with: it needs what each service needs, and nothing else
// that these do not need in their turn.
const model = "services/identity"

// checkRoot refuses a folder that is not the root of an Ashlar repository.
func checkRoot(root string) error {
	for _, name := range []string{workFile, "proto", model + "/go.mod", modulesFile} {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); errors.Is(err, fs.ErrNotExist) {
			return exit.With(exit.Usage, fmt.Errorf(
				"%s is not there: run it in the root of the repository, or name it with --root", filepath.Join(root, name)))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// throughGateway returns the file with the service's test among all others.
func (n names) throughGateway() string { return "dev/" + n.Service + "_test.go" }

var packageLine = regexp.MustCompile(`(?m)^package\s+([\w.]+)\s*;`)

// checkFree refuses names of what is there already.
func (n names) checkFree(root string) error {
	for _, folder := range []string{n.ServiceFolder(), n.ProtoFolder(), n.throughGateway()} {
		if _, err := os.Lstat(filepath.Join(root, filepath.FromSlash(folder))); err == nil {
			return exit.With(exit.Conflict, fmt.Errorf("%s exists already: find another name, or remove it first", folder))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The package, wherever it is; and folders that differ in case only are one on some machines.
	tree := os.DirFS(root)
	return fs.WalkDir(tree, "proto", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".proto" {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		if found := packageLine.FindSubmatch(text); found != nil && strings.EqualFold(string(found[1]), n.ProtoPackage) {
			return exit.With(exit.Conflict, fmt.Errorf("%s has the package %s already: find another with --package", name, n.ProtoPackage))
		}
		return nil
	})
}

// moduleFiles returns go.mod and go.sum of the new service: those of the model under another name, where what only the
// model's own code imports is indirect.
func (n names) moduleFiles(root string, service files) (files, error) {
	out := files{}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(model), name))
		if err != nil {
			return nil, err
		}
		out[path.Join(n.ServiceFolder(), name)] = content
	}
	mod := path.Join(n.ServiceFolder(), "go.mod")
	parsed, err := modfile.Parse(mod, out[mod], nil)
	if err != nil {
		return nil, err
	}
	if err := parsed.AddModuleStmt(n.GoModule()); err != nil {
		return nil, err
	}
	imports, err := n.imports(service)
	if err != nil {
		return nil, err
	}
	requirements := make([]*modfile.Require, len(parsed.Require))
	for i, r := range parsed.Require {
		imported := slices.ContainsFunc(imports, func(name string) bool { return name == r.Mod.Path || strings.HasPrefix(name, r.Mod.Path+"/") })
		requirements[i] = &modfile.Require{Mod: r.Mod, Indirect: r.Indirect || !imported}
	}
	parsed.SetRequireSeparateIndirect(requirements)
	parsed.Cleanup()
	out[mod], err = parsed.Format()
	return out, err
}

// imports returns what the service's Go files import.
func (n names) imports(service files) ([]string, error) {
	var all []string
	for file, content := range service {
		if path.Ext(file) != ".go" || !strings.HasPrefix(file, n.ServiceFolder()+"/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, content, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			all = append(all, name)
		}
	}
	return all, nil
}
