package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"

	"ashlar.dev/platformctl/exit"
)

// model is the service whose go.mod and go.sum a new one begins with: it needs what each service needs, and nothing else.
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

// moduleFiles returns go.mod and go.sum of the new service: those of the model under another name.
func (n names) moduleFiles(root string) (files, error) {
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
	out[mod], err = parsed.Format()
	return out, err
}
