package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build compiles the programs of one target and records what from.
func build(ctx context.Context, root string, t target, step *progress) error {
	step.begin()
	// Before compiling: a source that changes meanwhile makes them out of date.
	sources, err := fingerprint(root, t)
	if err != nil {
		return err
	}
	packages, err := countPackages(ctx, root, t, step.downloading)
	if err != nil {
		return err
	}
	step.packages = packages

	output := filepath.Join(root, binDir) + string(filepath.Separator)
	if t.output != "" {
		output += t.output
	}
	// -v prints the name of each package that is compiled.
	args := append([]string{"build", "-v", "-o", output}, t.flags...)
	if err := goCommand(ctx, root, t, append(args, t.packages...), io.Discard, step.compiled); err != nil {
		return err
	}
	step.end()

	return record(root, t, sources)
}

// countPackages downloads what the target is made of and returns the number of packages to compile, at most.
func countPackages(ctx context.Context, root string, t target, line func(string)) (int, error) {
	var list bytes.Buffer
	if err := goCommand(ctx, root, t, append([]string{"list", "-deps"}, t.packages...), &list, line); err != nil {
		return 0, err
	}

	return bytes.Count(list.Bytes(), []byte("\n")), nil
}

// maxErrorLines is how much of the go command's output an error shows.
const maxErrorLines = 20

// goCommand runs the go command for a target. Each line that it prints to standard error goes to line; where it fails,
// the last of them are in the error.
func goCommand(ctx context.Context, root string, t target, args []string, stdout io.Writer, line func(string)) error {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = filepath.Join(root, t.module)
	// Flags from outside would make another build than the recorded one.
	command.Env = append(os.Environ(), "GOFLAGS=")
	if t.module != "" {
		command.Env = append(command.Env, "GOWORK=off")
	}
	command.Env = append(command.Env, t.env...)
	command.Stdout = stdout
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	stderr, err := command.StderrPipe()
	if err != nil {
		return fmt.Errorf("run go: %w", err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("run go: %w", err)
	}

	var last []string
	scanner := bufio.NewScanner(stderr)
	for scanner.Scan() {
		line(scanner.Text())
		last = append(last, scanner.Text())
		if len(last) > maxErrorLines {
			last = last[1:]
		}
	}
	if err := scanner.Err(); err != nil {
		// A line beyond all measure: the command must not block on a pipe that nobody reads.
		_, _ = io.Copy(io.Discard, stderr)
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("go %s in %s: %w\n%s", args[0], command.Dir, err, strings.Join(last, "\n"))
	}

	return nil
}
