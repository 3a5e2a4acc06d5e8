package scaffold

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"go/format"
	"io/fs"
	"path"
	"strings"
	"text/template"

	"ariga.io/atlas/sql/migrate"

	"ashlar.dev/platformctl/exit"
)

// templates are the files of a new service. SERVICE, RESOURCE, ENTITY, PLURAL and VERSION in their paths stand
// for names; those of Go files have no underscores, which could mean something to Go.
//
//go:embed templates
var templates embed.FS

const templateSuffix = ".tmpl"

// files are contents of files by their paths below the root of the repository, with slashes.
type files map[string][]byte

// render returns the schema and the service, complete but for go.mod and go.sum.
func render(n names) (files, error) {
	paths := strings.NewReplacer("SERVICE", n.Service, "RESOURCE", n.Resource, "ENTITY", n.EntPackage(), "PLURAL", joined(n.Plural), "VERSION", n.Version)
	out := files{}
	for from, to := range map[string]string{"proto": n.ProtoFolder(), "service": n.ServiceFolder(), "dev": "dev"} {
		from := path.Join("templates", from)
		err := fs.WalkDir(templates, from, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			below := strings.TrimSuffix(strings.TrimPrefix(name, from+"/"), templateSuffix)
			file := path.Join(to, paths.Replace(below))
			if _, taken := out[file]; taken {
				return exit.With(exit.Usage, fmt.Errorf("two files would be %s: find another --resource or --plural", file))
			}
			out[file], err = renderFile(name, n)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, checksums(out)
}

func renderFile(name string, n names) ([]byte, error) {
	parsed, err := template.New(path.Base(name)).Option("missingkey=error").
		Funcs(template.FuncMap{"quote": quote}).ParseFS(templates, name)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, n); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(strings.TrimSuffix(name, templateSuffix), ".go") {
		return text.Bytes(), nil
	}
	// Names decide about the order of imports and about what stands below what.
	formatted, err := format.Source(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return formatted, nil
}

// quote returns s as a string of YAML: JSON's strings are YAML's, too.
func quote(s string) (string, error) {
	text, err := json.Marshal(s)
	return string(text), err
}

// checksums adds atlas.sum to each folder of migrations: task migrate:check refuses migrations without it.
func checksums(out files) error {
	for name, content := range out {
		if path.Ext(name) != ".sql" {
			continue
		}
		sum, err := migrate.NewHashFile([]migrate.File{migrate.NewLocalFile(path.Base(name), content)})
		if err != nil {
			return err
		}
		if out[path.Join(path.Dir(name), migrate.HashFileName)], err = sum.MarshalText(); err != nil {
			return err
		}
	}
	return nil
}
