// Package repository reads what the source tree of a platform says about its modules: services/*/module.yaml, and the
// schemas under proto/. It needs neither a network nor a running platform, and it must not know what is done with what it
// reads.
package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
)

// Location is the flag of commands that work on a source tree.
type Location struct {
	Root string `help:"Folder of the repository: the one that holds services/ and proto/." default:"." placeholder:"DIR"`
}

const (
	servicesFolder = "services"
	manifestName   = "module.yaml"
	protoFolder    = "proto"
)

// Repository is a source tree.
type Repository struct {
	fsys fs.FS
	// Manifests are those of all services whose module.yaml could be read, in the order of their names.
	Manifests []*manifest.Manifest
	// Faults is what is wrong with the others.
	Faults finding.List
}

// Open reads all manifests of a tree.
func Open(root string) (*Repository, error) {
	r := &Repository{fsys: os.DirFS(root)}
	if _, err := fs.Stat(r.fsys, servicesFolder); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s: run it in the root of the repository, or name it with --root", filepath.Join(root, servicesFolder))
	} else if err != nil {
		return nil, err
	}
	files, err := fs.Glob(r.fsys, path.Join(servicesFolder, "*", manifestName))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := r.read(file); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// read reads one more manifest: file is its path below the root, with slashes. A faulty one goes to Faults.
func (r *Repository) read(file string) error {
	text, err := fs.ReadFile(r.fsys, file)
	if err != nil {
		return err
	}
	m, err := manifest.Parse(file, text)
	if faults, ok := errors.AsType[finding.List](err); ok {
		r.Faults = append(r.Faults, faults...)
		return nil
	}
	if err != nil {
		return err
	}
	if folder := path.Base(path.Dir(file)); folder != m.Name {
		r.Faults.Add(m.Place("name"), "the module %s is in a folder of the name %s: they must be the same", m.Name, folder)
		return nil
	}
	r.Manifests = append(r.Manifests, m)
	return nil
}

// Manifest returns the manifest of a service; nil where there is none that could be read.
func (r *Repository) Manifest(name string) *manifest.Manifest {
	i := slices.IndexFunc(r.Manifests, func(m *manifest.Manifest) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return r.Manifests[i]
}

// Names returns the names of the services.
func (r *Repository) Names() []string {
	names := make([]string, len(r.Manifests))
	for i, m := range r.Manifests {
		names[i] = m.Name
	}
	return names
}
