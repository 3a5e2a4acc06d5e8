// Package repository reads what the source tree of a platform says about its modules: services/*/module.yaml, and the
// schemas under proto/. It needs neither a network nor a running platform, and it must not know what is done with what it
// reads.
package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/manifest"
)

const protoFolder = "proto"

// Repository is a source tree.
type Repository struct {
	// Root is its root folder.
	Root string
	fsys fs.FS
	// Manifests are those of all services whose module.yaml could be read, in the order of their names.
	Manifests []*manifest.Manifest
	// Faults is what is wrong with the others.
	Faults finding.List
}

// Open reads all manifests of a tree.
func Open(root string) (*Repository, error) {
	r := &Repository{Root: root, fsys: os.DirFS(root)}
	var err error
	r.Manifests, r.Faults, err = manifest.ReadTree(r.fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s", filepath.Join(root, manifest.ServicesFolder))
	}
	return r, err
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
