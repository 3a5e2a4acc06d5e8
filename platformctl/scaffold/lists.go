package scaffold

import (
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// lists returns what the files that list the repository's services become with the new one.
func (n names) lists(root string) (files, error) {
	work, err := n.workspace(root)
	if err != nil {
		return nil, err
	}
	return files{workFile: work}, nil
}

const workFile = "go.work"

// workspace is go.work with the new service.
func (n names) workspace(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, workFile))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork(workFile, text, nil)
	if err != nil {
		return nil, err
	}
	if err := work.AddUse("./"+n.ServiceFolder(), ""); err != nil {
		return nil, err
	}
	work.SortBlocks()
	work.Cleanup()
	return modfile.Format(work.Syntax), nil
}
