package scaffold

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// stagingPattern names the folder in which everything is written before it is moved to its place; .gitignore has it.
const stagingPattern = ".platformctl-new-*"

// writing is a change of the repository that happens as a whole or not at all: all is written beside the tree first, then
// moved to its place, and moved back where a step fails.
type writing struct {
	root, staging string
	undo          []func() error
}

// write makes new folders and files appear, which hold all that is fresh, and replaces the files of changed. Until it begins to move, ending ctx leaves
// the tree as it was.
func write(ctx context.Context, root string, places []string, fresh, changed files) (err error) {
	staging, err := os.MkdirTemp(root, stagingPattern)
	if err != nil {
		return err
	}
	w := &writing{root: root, staging: staging}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	for _, all := range []files{fresh, changed} {
		for name, content := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := put(filepath.Join(staging, filepath.FromSlash(name)), content); err != nil {
				return err
			}
		}
	}
	if err := w.move(places, changed); err != nil {
		for _, undo := range slices.Backward(w.undo) {
			err = errors.Join(err, undo())
		}
		return fmt.Errorf("nothing was written: %w", err)
	}
	return nil
}

func put(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// move moves what is new to its place first, then what refers to them.
func (w *writing) move(places []string, changed files) error {
	for _, place := range places {
		if err := w.makeParents(place); err != nil {
			return err
		}
		to := w.in(w.root, place)
		// Rename would take the place of a file or an empty folder.
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s has appeared meanwhile", place), err)
		}
		if err := os.Rename(w.in(w.staging, place), to); err != nil {
			return err
		}
		w.undo = append(w.undo, func() error { return os.RemoveAll(to) })
	}
	for name := range changed {
		if err := w.replace(name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) replace(name string) error {
	to := w.in(w.root, name)
	before, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if err := os.Rename(w.in(w.staging, name), to); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error { return os.WriteFile(to, before, 0o644) })
	return nil
}

// makeParents makes the folders above a place that are missing.
func (w *writing) makeParents(place string) error {
	elements := strings.Split(path.Dir(place), "/")
	for i := range elements {
		parent := w.in(w.root, path.Join(elements[:i+1]...))
		err := os.Mkdir(parent, 0o755)
		if err == nil {
			w.undo = append(w.undo, func() error { return os.Remove(parent) })
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func (*writing) in(folder, name string) string {
	return filepath.Join(folder, filepath.FromSlash(name))
}
