package permissions

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/nearest"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/findings"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/repository"
	"ashlar.dev/platformctl/workspace"
)

// Where generated files are, below the root. They hold nothing else.
const (
	goFolder  = "gen/go/permissions"
	tsFolder  = "gen/ts/src/permissions"
	indexName = "index"
)

// Generate writes constants for permissions and roles.
type Generate struct {
	Tree workspace.Flag `embed:""`

	Check    bool     `help:"Write nothing; fail where what is there differs from what would be written."`
	Services []string `arg:"" help:"Services to write constants for; all of them where none is named, and then those of services that are gone are removed." name:"service" optional:""`
}

// Help is the long help.
func (*Generate) Help() string {
	return "From services/*/module.yaml it writes a Go package for each service (" + goFolder + "/<service>perms) and a " +
		"TypeScript file (" + tsFolder + "/<service>.ts), with a constant for each permission and role. The same manifests " +
		"always give the same files. `task gen` runs it for all services, `go generate ./services/NAME` for one." +
		"\n\n  platformctl permissions generate notes"
}

// Run runs the command.
func (c *Generate) Run(streams *output.Streams) error {
	repo, err := c.Tree.Repository()
	if err != nil {
		return err
	}
	if len(repo.Faults) > 0 {
		return findings.Show(output.Flag{}, streams.Out, repo.Faults, "")
	}
	modules, err := selected(repo, c.Services)
	if err != nil {
		return err
	}
	files, faults, err := render(repo.Manifests, modules)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return findings.Show(output.Flag{}, streams.Out, faults, "")
	}
	changes, err := compare(repo.Root, files, len(c.Services) == 0)
	if err != nil {
		return err
	}
	if c.Check {
		return report(streams.Out, changes)
	}
	for _, change := range changes {
		if err := change.apply(repo.Root); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "%s %s\n", change.verb(), change.file)
	}
	return nil
}

// selected returns the modules of the given names, and all of them without names.
func selected(repo *repository.Repository, services []string) ([]*manifest.Manifest, error) {
	if len(services) == 0 {
		return repo.Manifests, nil
	}
	var modules []*manifest.Manifest
	for _, name := range services {
		m := repo.Manifest(name)
		if m == nil {
			return nil, exit.With(exit.Usage, errors.New(finding.Finding{
				Message: "there is no service " + name, Suggestion: nearest.To(name, repo.Names()...),
			}.String()))
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// render returns the files of some modules, and the index of all, by their paths below the root.
func render(all, modules []*manifest.Manifest) (files map[string]string, faults finding.List, err error) {
	files = map[string]string{}
	for _, m := range modules {
		if !brings(m) {
			continue
		}
		if m.Name == indexName {
			faults.Addf(m.Place("name"), "a service of the name %s would take the place of %s/%s.ts: rename it", m.Name, tsFolder, indexName)
		}
		permissions, roles, twice := constants(m)
		faults = append(faults, twice...)
		s := source{Header: header("services/" + m.Name + "/module.yaml"), Service: m.Name, Permissions: permissions, Roles: roles}
		for _, write := range []func(*manifest.Manifest, source) (file, text string, err error){goFile, tsFile} {
			file, text, err := write(m, s)
			if err != nil {
				return nil, nil, err
			}
			files[file] = text
		}
	}
	file, text := tsIndex(slices.DeleteFunc(slices.Clone(all), func(m *manifest.Manifest) bool { return !brings(m) }))
	files[file] = text
	return files, faults, nil
}

// brings tells whether a module has anything to write constants for.
func brings(m *manifest.Manifest) bool { return len(m.Permissions)+len(m.Roles) > 0 }

func header(from string) string { return generated + from + ". DO NOT EDIT." }

// change is a file that is not as it should be.
type change struct {
	file, text    string
	there, wanted bool
}

func (c change) verb() string {
	switch {
	case !c.wanted:
		return "removed"
	case c.there:
		return "changed"
	default:
		return "wrote"
	}
}

func (c change) apply(root string) error {
	file := filepath.Join(root, filepath.FromSlash(c.file))
	if !c.wanted {
		if err := os.Remove(file); err != nil {
			return err
		}
		// The package of a service that is gone; where something else is in the folder, it stays.
		_ = os.Remove(filepath.Dir(file))
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(c.text), 0o644)
}

// compare returns what has to be written, and with prune, too, which generated files are no longer wanted.
func compare(root string, files map[string]string, prune bool) ([]change, error) {
	var changes []change
	for _, file := range slices.Sorted(maps.Keys(files)) {
		old, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || string(old) != files[file] {
			changes = append(changes, change{file: file, text: files[file], there: err == nil, wanted: true})
		}
	}
	if !prune {
		return changes, nil
	}
	there, err := generatedFiles(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	for _, file := range there {
		if _, ok := files[file]; !ok {
			changes = append(changes, change{file: file, there: true})
		}
	}
	return changes, nil
}

// generatedFiles returns the files that this command has written at some time, by their first lines.
func generatedFiles(fsys fs.FS) ([]string, error) {
	var files []string
	for _, folder := range []string{goFolder, tsFolder} {
		err := fs.WalkDir(fsys, folder, func(file string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && file == folder {
				return fs.SkipAll
			}
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(fsys, file)
			if strings.HasPrefix(string(text), "// "+generated) {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// report tells what differs.
func report(out io.Writer, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		switch {
		case !c.wanted:
			fmt.Fprintf(out, "%s: its service is gone\n", c.file)
		case c.there:
			fmt.Fprintf(out, "%s: differs\n", c.file)
		default:
			fmt.Fprintf(out, "%s: is missing\n", c.file)
		}
	}
	return exit.With(exit.Pending, errors.New("generated constants differ from module.yaml: run `platformctl permissions generate`, or ./taskw gen"))
}
