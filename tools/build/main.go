// Command build builds what goes into .bin/: the pinned tools of this repository, and the platform's own programs. Each
// is built only when it is missing or its sources changed, and a person sees how far it is. taskw builds this command
// first, so it needs nothing but Go's standard library. It must not know what the programs are for.
//
// Usage: build [-root DIRECTORY] TARGET…
//
// Several runs at once wait for each other.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// exitUsage is the exit code of a wrong command line, the same as that of the flag package.
const exitUsage = 2

func main() {
	root := flag.String("root", ".", "the repository's root `directory`")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: build [flags] TARGET…\ntargets: %s\n", strings.Join(names(), " "))
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(exitUsage)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *root, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n", err)
		os.Exit(1)
	}
}

// run builds the named targets that are not up to date, in the order given.
func run(ctx context.Context, root string, wanted []string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find the root: %w", err)
	}
	selected := make([]target, 0, len(wanted))
	for _, name := range wanted {
		found, ok := lookup(name)
		if !ok {
			return fmt.Errorf("there is no target %q; there are: %s", name, strings.Join(names(), " "))
		}
		if found, err = found.complete(root); err != nil {
			return err
		}
		selected = append(selected, found)
	}

	// The usual case costs no lock and no process.
	stale, err := outdated(root, selected)
	if err != nil || len(stale) == 0 {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(root, binDir))
	if err != nil {
		return err
	}
	defer unlock()
	// Another run may have built them while this one waited.
	if stale, err = outdated(root, selected); err != nil {
		return err
	}
	for i, each := range stale {
		step := &progress{position: i + 1, total: len(stale), target: each}
		if err := build(ctx, root, each, step); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: interrupted; what is compiled so far is kept", each.name)
			}

			return fmt.Errorf("%s: %w", each.name, err)
		}
	}

	return nil
}

// outdated returns those of the targets that have to be built.
func outdated(root string, selected []target) ([]target, error) {
	var stale []target
	for _, each := range selected {
		fresh, err := upToDate(root, each)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.name, err)
		}
		if fresh || (each.unneeded != nil && each.unneeded() != "") {
			continue
		}
		stale = append(stale, each)
	}

	return stale, nil
}
