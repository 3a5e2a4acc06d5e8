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
	Name string
	// Dir is the absolute path of its folder.
	Dir      string
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
	entries, err := os.ReadDir(filepath.Join(root, servicesFolder))
	if err != nil {
		return nil, fmt.Errorf("list the services: %w", err)
	}
	w := &Workspace{Root: root}
	var wrong []error
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		service, err := read(filepath.Join(root, servicesFolder, entry.Name()))
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case service != nil:
			w.Services = append(w.Services, *service)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	slices.SortFunc(w.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	return w, nil
}

// read reads the service in a folder; nil where there is none.
func read(dir string) (*Service, error) {
	name := filepath.Base(dir)
	shown := filepath.Join(servicesFolder, name, manifestFile)
	content, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "cmd")); errors.Is(err, fs.ErrNotExist) {
			return nil, nil // such as what git leaves of a service of another branch
		}
		return nil, fmt.Errorf("%s is missing: every service says in it what it is", shown)
	}
	if err != nil {
		return nil, fmt.Errorf("read a service's manifest: %w", err)
	}
	m, err := parse(shown, content)
	if err != nil {
		return nil, err
	}
	if m.Name != name {
		return nil, fmt.Errorf("%s: name is %s, and must be that of the folder and of the program, %s", shown, m.Name, name)
	}
	return &Service{Name: name, Dir: dir, Manifest: m}, nil
}

// parse reads a manifest; file is its name in errors.
func parse(file string, content []byte) (*manifest.Manifest, error) {
	m, err := manifest.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
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

// DependsOn returns the names of the services that this one depends on.
func (s Service) DependsOn() []string { return s.Manifest.DependsOn }
