package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/bufbuild/protocompile"
)

func TestWhatIsPrintedCompiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "proto")
	if err := run(dir, roots()); err != nil {
		t.Fatal(err)
	}
	// Once more, over what is there.
	if err := run(dir, roots()); err != nil {
		t.Fatal(err)
	}

	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{dir}}),
	}
	for _, file := range closure(roots()) {
		if _, err := compiler.Compile(context.Background(), file.Path()); err != nil {
			t.Errorf("%s does not compile: %v", file.Path(), err)
		}
	}
}

func TestAFolderWithOtherFilesIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(precious, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, roots()); err == nil {
		t.Error("want an error")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
