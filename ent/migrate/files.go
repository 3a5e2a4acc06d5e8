package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	atlas "ariga.io/atlas/sql/migrate"
	"github.com/pressly/goose/v3"

	"ashlar.dev/ent/migrate/directive"
)

// file is a migration that the binary has.
type file struct {
	version int64
	name    string
	// checksum is of its whole content.
	checksum string
	// needs is the migration that a program without this one must have to work
	// with what it leaves: 0 any program can, its own version none can.
	needs int64
}

// readFiles reads the migrations of one dialect in their order.
func readFiles(folder fs.FS, sources []*goose.Source) ([]file, error) {
	if err := checkSums(folder); err != nil {
		return nil, err
	}
	files := make([]file, len(sources))
	for i, source := range sources {
		content, err := fs.ReadFile(folder, source.Path)
		if err != nil {
			return nil, err
		}
		contract, err := directive.Read(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Path, err)
		}
		sum := sha256.Sum256(content)
		f := file{version: source.Version, name: path.Base(source.Path), checksum: "sha256:" + hex.EncodeToString(sum[:])}
		if contract != nil {
			f.needs = f.version
			if contract.Since != 0 {
				f.needs = contract.Since
			}
		}
		files[i] = f
	}
	return files, nil
}

// checkSums compares the files with the checksums that were checked in with
// them, where there are any: a program may have been built from an edited one.
func checkSums(folder fs.FS) error {
	if _, err := fs.Stat(folder, atlas.HashFileName); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	names, err := fs.Glob(folder, "*")
	if err != nil {
		return err
	}
	var dir atlas.MemDir
	for _, name := range names {
		content, err := fs.ReadFile(folder, name)
		if err == nil {
			err = dir.WriteFile(name, content)
		}
		if err != nil {
			return err
		}
	}
	if err := atlas.Validate(&dir); err != nil {
		return fmt.Errorf("the migrations in this program are not those of its %s: undo the edit of a migration that is released; for one that is not, run ashlar-ent hash; then build again: %w", atlas.HashFileName, err)
	}
	return nil
}
