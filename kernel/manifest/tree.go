package manifest

import (
	"errors"
	"io/fs"
	"path"

	"ashlar.dev/kernel/finding"
)

// ServicesFolder is where the services of a repository are, below its root: one folder each, of the service's name.
const ServicesFolder = "services"

// ReadTree reads the manifests of all services of a repository, in the order of their folders. What is wrong with a
// manifest is in the list, and the manifest is left out; the error is for files that cannot be read at all.
func ReadTree(root fs.FS) ([]*Manifest, finding.List, error) {
	if _, err := fs.Stat(root, ServicesFolder); err != nil {
		return nil, nil, err
	}
	files, err := fs.Glob(root, path.Join(ServicesFolder, "*", "module.yaml"))
	if err != nil {
		return nil, nil, err
	}
	var manifests []*Manifest
	var found finding.List
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, nil, err
		}
		m, err := Parse(file, text)
		if err != nil {
			faults, ok := errors.AsType[finding.List](err)
			if !ok {
				return nil, nil, err
			}
			found = append(found, faults...)
			continue
		}
		if folder := path.Base(path.Dir(file)); folder != m.Name {
			found.Addf(m.Place("name"), "the module %s is in a folder of the name %s: they must be the same", m.Name, folder)
			continue
		}
		manifests = append(manifests, m)
	}
	return manifests, found, nil
}
