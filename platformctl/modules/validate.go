package modules

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

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/modulecheck"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/findings"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/workspace"
)

// Validate checks modules.
type Validate struct {
	Tree   workspace.Flag `embed:""`
	Format output.Flag    `embed:""`

	Paths []string `arg:"" help:"Manifests, schemas or folders whose faults are shown, as seen from here; all where none is named. The others are read all the same, because it takes all to see how they fit; what cannot be read is shown in any case." name:"path" optional:""`
}

// Help is the long help.
func (*Validate) Help() string {
	return "It reads services/*/module.yaml and compiles proto/, without a network. It finds: what a manifest may not say; " +
		"dependencies on modules or versions that are not there, and in a circle; roles of permissions that nobody declares; " +
		"RPC services that no manifest lists, or no schema defines; RPCs without an access rule, or with one that names an " +
		"undeclared permission or a field that holds no organization; permissions that no RPC needs." +
		"\n\n  platformctl modules validate"
}

// Run runs the command.
func (c *Validate) Run(ctx context.Context, streams *output.Streams) error {
	repo, err := c.Tree.Repository()
	if err != nil {
		return err
	}
	shown, err := c.shown(repo.Root)
	if err != nil {
		return err
	}
	schemas, faults, err := repo.Schemas(ctx)
	if err != nil {
		return err
	}
	// What cannot be read keeps everything from being checked, the paths that are named among it.
	found := slices.Concat(repo.Faults, faults)
	if len(found) == 0 {
		found = slices.DeleteFunc(modulecheck.All(repo.Manifests, schemas), func(f finding.Finding) bool { return !covers(shown, f.File) })
	}
	found.Sort()
	good := fmt.Sprintf("%d modules and their schemas are as they should be.", len(repo.Manifests))
	if len(c.Paths) > 0 {
		good = fmt.Sprintf("Nothing was found in %s.", strings.Join(c.Paths, ", "))
	}
	return findings.Show(c.Format, streams.Out, found, good)
}

// shown returns the paths below the root whose faults are shown.
func (c *Validate) shown(root string) ([]string, error) {
	var shown []string
	for _, name := range c.Paths {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return nil, exit.With(exit.Usage, fmt.Errorf("there is no file or folder %s", name))
		} else if err != nil {
			return nil, err
		}
		below, err := relative(root, name)
		if err != nil {
			return nil, err
		}
		shown = append(shown, below)
	}
	return shown, nil
}

// relative returns the path of a file below a folder, with slashes.
func relative(root, name string) (string, error) {
	from, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(from, to)
	if err != nil || !filepath.IsLocal(below) {
		return "", exit.With(exit.Usage, fmt.Errorf("%s is not in the repository %s", name, from))
	}
	return path.Clean(filepath.ToSlash(below)), nil
}

// covers tells whether a file is one of the paths, or in one of them; no paths cover everything.
func covers(paths []string, file string) bool {
	return len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool {
		return p == "." || p == file || strings.HasPrefix(file, p+"/")
	})
}
