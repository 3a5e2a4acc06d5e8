package config

import (
	"fmt"
	"os"
	"reflect"

	"github.com/alecthomas/kong"
)

// reloadTag is on the fields of a configuration that can change while the process runs, in a process that reads its
// configuration anew: `reload:""`.
const reloadTag = "reload"

// Again reads a process's configuration anew, as it was read at the start: the same arguments, the environment, and the
// files as they are now. It is safe for concurrent use.
type Again[C any] func() (C, error)

// Files are the files that a configuration was read from, by the names that were given.
func (f File) Files() []string {
	var files []string
	for _, path := range []string{os.Getenv(fileEnv), string(f.Config)} {
		if path != "" {
			files = append(files, path)
		}
	}
	return files
}

// Differences is in what two configurations differ: names of flags, in the order in which they are declared.
type Differences struct {
	// Reloadable are those that can change while the process runs, Fixed all others.
	Reloadable, Fixed []string
}

// Compare returns in what two configurations of one kind differ.
func Compare[C any](before, after C) (Differences, error) {
	var out Differences
	a, err := model(&before)
	if err != nil {
		return out, err
	}
	b, err := model(&after)
	if err != nil {
		return out, err
	}
	for i, flag := range a.Flags {
		switch {
		case reflect.DeepEqual(flag.Target.Interface(), b.Flags[i].Target.Interface()):
		case flag.Tag.Has(reloadTag):
			out.Reloadable = append(out.Reloadable, flag.Name)
		default:
			out.Fixed = append(out.Fixed, flag.Name)
		}
	}
	return out, nil
}

// model is what kong sees in a configuration.
func model(target any) (*kong.Application, error) {
	parser, err := kong.New(target, kong.NoDefaultHelp(), kong.Vars{"config_env": fileEnv})
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parser.Model, nil
}
