package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// goVersion is the Go that built this command, which is built again with each new one.
var goVersion = runtime.Version()

// binDir is where programs go, below the root. It is ignored by git.
const binDir = ".bin"

// upToDate tells whether all programs of a target are there, built from what their sources say now.
func upToDate(root string, t target) (bool, error) {
	for _, program := range t.programs() {
		if _, err := os.Stat(filepath.Join(root, binDir, program)); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("look for %s: %w", program, err)
		}
	}
	recorded, err := os.ReadFile(stampFile(root, t))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read the stamp: %w", err)
	}
	current, err := fingerprint(root, t)

	return string(recorded) == current, err
}

// record notes what the programs of a target were built from.
func record(root string, t target, built string) error {
	file := stampFile(root, t)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make the folder of stamps: %w", err)
	}
	if err := os.WriteFile(file, []byte(built), 0o644); err != nil {
		return fmt.Errorf("write the stamp: %w", err)
	}

	return nil
}

func stampFile(root string, t target) string {
	return filepath.Join(root, binDir, ".stamps", t.name)
}

// programs are the file names of what is built.
func (t target) programs() []string {
	if t.output != "" {
		return []string{t.output}
	}
	all := make([]string, 0, len(t.packages))
	for _, each := range t.packages {
		if each == "." {
			each = t.module
		}
		all = append(all, path.Base(each))
	}

	return all
}

// fingerprint is a hash over the target and its sources, and the Go that builds it: a newer one mends faults of the
// standard library. That is left out where a build is too long to do again for it.
func fingerprint(root string, t target) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.GOOS, runtime.GOARCH, t.programs(), t.packages, t.flags, t.env)
	if !t.anyGo {
		fmt.Fprintln(hash, goVersion)
	}
	for _, source := range t.sources {
		if err := hashSources(hash, root, source); err != nil {
			return "", err
		}
	}

	return hex.EncodeToString(hash.Sum(nil)), nil
}

// hashSources adds a file, or all files below a folder that have a part in a build: every one that is not a test's,
// because Go embeds files of any kind.
func hashSources(hash io.Writer, root, source string) error {
	return filepath.WalkDir(filepath.Join(root, source), func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// Such as a go.work.sum that nobody needed yet.
			return nil
		case err != nil:
			return fmt.Errorf("read the sources: %w", err)
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case entry.IsDir() || strings.HasSuffix(entry.Name(), "_test.go"):
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return fmt.Errorf("read the sources: %w", err)
		}

		return hashFile(hash, file, name)
	})
}

func hashFile(hash io.Writer, file, name string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the sources: %w", err)
	}
	if _, err := fmt.Fprintln(hash, name, len(content)); err != nil {
		return err
	}
	_, err = hash.Write(content)

	return err
}
