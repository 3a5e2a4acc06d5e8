package pgserver

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotFound says that this machine has no PostgreSQL to start.
var ErrNotFound = errors.New("no PostgreSQL found: neither postgres and initdb on PATH nor /usr/lib/postgresql/*/bin (Debian and Ubuntu: apt-get install postgresql)")

// binaries returns the paths of postgres and initdb, from one installation:
// the one on PATH, else the newest under /usr/lib/postgresql, where Debian
// puts them.
func binaries() (postgres, initdb string, err error) {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range append([]string{""}, folders...) {
		// With an empty folder LookPath searches PATH.
		postgres, err = exec.LookPath(filepath.Join(folder, "postgres"))
		if err != nil {
			continue
		}
		initdb, err = exec.LookPath(filepath.Join(folder, "initdb"))
		if err == nil {
			return postgres, initdb, nil
		}
	}
	return "", "", ErrNotFound
}

// version is the major version in a folder name like /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, _ := strconv.Atoi(strings.TrimSpace(filepath.Base(filepath.Dir(folder))))
	return n
}
