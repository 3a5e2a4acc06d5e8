// Package workspace finds the repository that platformctl works on, and the services in it: the folders of services/ that
// have a module.yaml. It is the one list of a platform's services. It must not know any of them by name, nor how they
// are built or run.
package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platformctl/repository"
)

const (
	rootFile       = "go.work"
	servicesFolder = "services"
	manifestFile   = "module.yaml"
)

// Flag is the flag that commands about the repository have in common.
type Flag struct {
	Root string `help:"The repository; where not set, the one around the working folder, else the one whose .bin/ holds platformctl (${env})." env:"ASHLAR_ROOT" placeholder:"DIR"`
}

// Open finds the repository and reads its services.
func (f Flag) Open() (*Workspace, error) {
	root, err := Find(f.Root)
	if err != nil {
		return nil, err
	}
	return Open(root)
}

// Repository finds the repository and reads what it says about modules. Unlike Open, it hands out what is wrong with them
// beside those that are right.
func (f Flag) Repository() (*repository.Repository, error) {
	root, err := Find(f.Root)
	if err != nil {
		return nil, err
	}
	return repository.Open(root)
}

// Workspace is a repository with services.
type Workspace struct {
	// Root is the absolute path of the repository's root.
	Root string
	// Services are all services, by name.
	Services []Service
}

// Service is one service of the repository.
type Service struct {
	// Name is that of its folder, its program, its manifest, and of the service in discovery.
	Name     string
	Manifest *manifest.Manifest
}

// Find returns the root of the repository: the named one; else the nearest folder at or above the working folder that
// has go.work and services/; else the one in whose subfolder (.bin) the running program is.
func Find(named string) (string, error) {
	if named != "" {
		root, err := filepath.Abs(named)
		if err != nil {
			return "", fmt.Errorf("find the repository: %w", err)
		}
		if !isRoot(root) {
			return "", fmt.Errorf("%s is no repository of a platform: it has no %s, or no folder %s", root, rootFile, servicesFolder)
		}
		return root, nil
	}
	working, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w; name it with --root", err)
	}
	for dir := working; ; dir = filepath.Dir(dir) {
		if isRoot(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w; name it with --root", err)
	}
	if root := filepath.Dir(filepath.Dir(self)); isRoot(root) {
		return root, nil
	}
	return "", fmt.Errorf("there is no repository of a platform (a folder with %s and %s/) around %s, nor around %s: go there, or name it with --root or ASHLAR_ROOT",
		rootFile, servicesFolder, working, self)
}

func isRoot(dir string) bool {
	file, err := os.Stat(filepath.Join(dir, rootFile))
	if err != nil || file.IsDir() {
		return false
	}
	folder, err := os.Stat(filepath.Join(dir, servicesFolder))
	return err == nil && folder.IsDir()
}

// Open reads the services of a repository. All that is wrong with any of them is in the error.
func Open(root string) (*Workspace, error) {
	read, err := repository.Open(root)
	if err != nil {
		return nil, err
	}
	w := &Workspace{Root: root}
	for _, m := range read.Manifests {
		w.Services = append(w.Services, Service{Name: m.Name, Manifest: m})
	}
	slices.SortFunc(w.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	nameless, err := withoutManifest(root)
	if err := errors.Join(append(nameless, err, read.Faults.Err())...); err != nil {
		return nil, err
	}
	return w, nil
}

// withoutManifest returns an error for each folder with a program and no manifest. Other folders are no services: such as
// what git leaves of a service of another branch.
func withoutManifest(root string) ([]error, error) {
	programs, err := filepath.Glob(filepath.Join(root, servicesFolder, "*", "cmd"))
	if err != nil {
		return nil, fmt.Errorf("list the services: %w", err)
	}
	var wrong []error
	for _, program := range programs {
		file := filepath.Join(filepath.Dir(program), manifestFile)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			wrong = append(wrong, fmt.Errorf("%s is missing: every service says in it what it is", file))
		}
	}
	return wrong, nil
}

// Find returns the service of a name.
func (w *Workspace) Find(name string) (Service, bool) {
	i := slices.IndexFunc(w.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return w.Services[i], true
}

// Names returns the names of all services.
func (w *Workspace) Names() []string {
	names := make([]string, len(w.Services))
	for i, s := range w.Services {
		names[i] = s.Name
	}
	return names
}

// Manifests returns the manifests of all services.
func (w *Workspace) Manifests() []*manifest.Manifest {
	all := make([]*manifest.Manifest, len(w.Services))
	for i, s := range w.Services {
		all[i] = s.Manifest
	}
	return all
}
