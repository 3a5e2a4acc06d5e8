// Package archtest checks who imports whom: the rules of the layout, each with its reason. It holds nothing but this
// test.
package archtest

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source is one Go file of the workspace.
type source struct {
	// pkg is the import path of its folder, name the name of its package.
	pkg, name string
	file      string // relative to the root
	// test files are those that Go takes for one, and all of packages that are there for tests.
	test    bool
	imports []string
}

// module is one module of the workspace.
type module struct{ path, folder string }

// root finds the folder of go.work, whatever GOWORK says.
func root(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.work")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		require.NotEqual(t, parent, folder, "no go.work above this test")
		folder = parent
	}
}

// modules lists what go.work uses.
func modules(t *testing.T, root string) []module {
	t.Helper()
	var work struct{ Use []struct{ DiskPath string } }
	read(t, &work, "work", "edit", "-json", filepath.Join(root, "go.work"))
	var found []module
	for _, use := range work.Use {
		var mod struct{ Module struct{ Path string } }
		folder := filepath.Join(root, use.DiskPath)
		read(t, &mod, "mod", "edit", "-json", filepath.Join(folder, "go.mod"))
		found = append(found, module{mod.Module.Path, folder})
	}
	return found
}

func read(t *testing.T, into any, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	require.NoError(t, err, "go %s", strings.Join(args, " "))
	require.NoError(t, json.Unmarshal(out, into))
}

// sources reads the imports of every Go file of the modules.
func sources(t *testing.T, root string, modules []module) []source {
	t.Helper()
	folders := map[string]bool{}
	for _, m := range modules {
		folders[m.folder] = true
	}
	var found []source
	for _, m := range modules {
		err := filepath.WalkDir(m.folder, func(at string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && at != m.folder && (folders[at] || skipped(entry.Name())):
				return fs.SkipDir
			case entry.IsDir() || !strings.HasSuffix(at, ".go"):
				return nil
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), at, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			inModule, err := filepath.Rel(m.folder, filepath.Dir(at))
			if err != nil {
				return err
			}
			inRoot, err := filepath.Rel(root, at)
			if err != nil {
				return err
			}
			s := source{
				pkg: path.Join(m.path, filepath.ToSlash(inModule)), name: strings.TrimSuffix(parsed.Name.Name, "_test"),
				file: filepath.ToSlash(inRoot)}
			s.test = strings.HasSuffix(at, "_test.go") || forTests(s.pkg)
			for _, spec := range parsed.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				s.imports = append(s.imports, imported)
			}
			found = append(found, s)
			return nil
		})
		require.NoError(t, err)
	}
	return found
}

// forTests tells whether a package is there for tests: its name ends in test, as that of net/http/httptest.
func forTests(pkg string) bool {
	return strings.HasPrefix(pkg, "ashlar.dev/") && strings.HasSuffix(pkg, "test")
}

func skipped(folder string) bool {
	return folder == "testdata" || folder == "node_modules" || strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_")
}

// within tells whether a package is one of the named ones or below one of them. A name that ends in a slash means only
// what is below, and one with `…` in the middle any folder there.
func within(pkg string, names []string) bool {
	for _, name := range names {
		if before, after, ok := strings.Cut(name, "…"); ok {
			if strings.HasPrefix(pkg, before) && strings.Contains(pkg[len(before):]+"/", after+"/") {
				return true
			}
			continue
		}
		if pkg == name || strings.HasPrefix(pkg, strings.TrimSuffix(name, "/")+"/") {
			return true
		}
	}
	return false
}
