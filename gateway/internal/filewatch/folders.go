package filewatch

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// maxLinks bounds the symbolic links that are followed one after the other.
const maxLinks = 16

// follow lets the notifier tell of the folders of files, and of no others. One that is not there is looked for next time.
func follow(notifier *fsnotify.Watcher, files []string) {
	wanted := folders(files)
	for _, old := range notifier.WatchList() {
		if !slices.Contains(wanted, old) {
			_ = notifier.Remove(old)
		}
	}
	for _, folder := range wanted {
		_ = notifier.Add(folder)
	}
}

// folders returns where a change can make a name stand for another file: the folder of each file, and those of all symbolic
// links on the way to it. A file itself is not watched: the one that replaces it would not be.
func folders(files []string) []string {
	seen := map[string]bool{}
	var out []string
	add := func(folder string) {
		if !slices.Contains(out, folder) {
			out = append(out, folder)
		}
	}
	var visit func(path string, links int)
	visit = func(path string, links int) {
		if links > maxLinks || seen[path] {
			return
		}
		seen[path] = true
		add(filepath.Dir(path))
		for at := path; at != filepath.Dir(at); at = filepath.Dir(at) {
			target, err := os.Readlink(at)
			if err != nil {
				continue
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(at), target)
			}
			add(filepath.Dir(at))
			visit(filepath.Join(target, path[len(at):]), links+1)
		}
	}
	for _, file := range files {
		if path, err := filepath.Abs(file); err == nil {
			visit(path, 0)
		}
	}
	return out
}
