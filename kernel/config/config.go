// Package config reads the configuration of a process: flags, then environment, then a YAML file, then defaults, by
// kong. Keys of the file are the names of flags; an unknown one is an error.
package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

const (
	// fileEnv names the configuration file where the flag --config does not.
	fileEnv = "ASHLAR_CONFIG"
	// maxFileBytes bounds a configuration file.
	maxFileBytes = 1 << 20
)

// File is what every configuration embeds, so that --config names the file.
type File struct {
	Config kong.ConfigFlag `help:"YAML file with values for these flags; ${config_env} names it, too." env:"-" placeholder:"FILE"`
}

// Parse fills target, a pointer to a struct with kong tags that embeds File, from the arguments (without the program's
// name), the environment (ASHLAR_ and the flag's name) and the file. For --help it writes to stdout and calls exit(0).
func Parse(target any, name, description string, args []string, stdout io.Writer, exit func(int)) error {
	_, err := ParseCommand(target, name, description, args, stdout, exit)
	return err
}

// Command is what a program can do instead of serving, such as `db migrate`.
type Command struct {
	Name, Help string
	// Struct is a pointer to a struct that kong makes the command of, with flags or commands of its own; the flags should
	// have no environment variables (env:"-"). Run methods may ask for a context.Context, for the Target, and for an
	// io.Writer for results.
	Struct any
}

// Target is the configuration that was read, a pointer to a struct, for commands of programs with different ones.
type Target struct{ Value any }

// ParseCommand is Parse for a program that has commands. run runs the one that was asked for, and is nil where none was:
// the program serves.
func ParseCommand(target any, name, description string, args []string, stdout io.Writer, exit func(int), commands ...Command) (run func(context.Context) error, err error) {
	var paths []string
	if path := os.Getenv(fileEnv); path != "" {
		// kong passes over a file that is not there; one that was named must be.
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("configuration: %s names a file that cannot be read: %w", fileEnv, err)
		}
		paths = []string{path}
	}
	options := []kong.Option{
		kong.Name(name), kong.Description(description), kong.Writers(stdout, stdout), kong.Exit(exit),
		kong.DefaultEnvars("ASHLAR"), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Vars{"config_env": fileEnv},
		kong.Configuration(load, paths...),
	}
	if len(commands) > 0 {
		options = append(options, kong.DynamicCommand(serve, "Serve until SIGINT or SIGTERM; this is what happens without a command, too.", "", &struct{}{}, `default:"1"`))
	}
	for _, c := range commands {
		options = append(options, kong.DynamicCommand(c.Name, c.Help, "", c.Struct))
	}
	parser, err := kong.New(target, options...)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if parsed.Command() == "" || parsed.Command() == serve {
		return nil, nil
	}
	return func(ctx context.Context) error {
		parsed.BindTo(ctx, (*context.Context)(nil))
		parsed.BindTo(stdout, (*io.Writer)(nil))
		return parsed.Run(Target{target})
	}, nil
}

// serve is the command that is run where none is named.
const serve = "serve"

// file is a kong.Resolver over the keys of a configuration file.
type file map[string]any

func load(r io.Reader) (kong.Resolver, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("more than %d bytes", maxFileBytes)
	}
	values := file{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	return values, nil
}

// Validate implements kong.Resolver: it refuses keys that are no flag.
func (f file) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, group := range app.AllFlags(false) {
		for _, flag := range group {
			known[flag.Name] = true
		}
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(f)) {
		if !known[key] {
			errs = append(errs, fmt.Errorf("unknown key %q; known are %s", key, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
	}
	return errors.Join(errs...)
}

// Resolve implements kong.Resolver.
func (f file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	// kong lets a file win over the environment; here the environment wins.
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil //nolint:nilnil // kong's way to say: no value here
		}
	}
	value := f[flag.Name]
	if _, secret := reflect.TypeAssert[Secret](flag.Target); secret && value != nil {
		// kong's error would quote the value.
		if _, ok := value.(string); !ok {
			return nil, errors.New("must be text; put it in quotes")
		}
	}
	return value, nil
}
