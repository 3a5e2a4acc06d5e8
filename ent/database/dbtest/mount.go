package dbtest

import (
	"os"
	"path/filepath"
	"testing"
)

// mount mounts an empty file system of a size until the end of the test. Where that is not allowed the test is skipped,
// or fails where CI=true.
func mount(t *testing.T, folder, size string) {
	t.Helper()
	err := mountSmall(t, folder, size)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("mount a file system, which needs root: %v", err)
	default:
		t.Skipf("no file system can be mounted here: %v", err)
	}
}

// ballast is the file that fills a disk.
const ballast = "ballast"

// fill fills the disk that is mounted at folder to its last byte.
func fill(t *testing.T, folder string) {
	t.Helper()
	out, err := os.Create(filepath.Join(filepath.Clean(folder), ballast))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	for block := make([]byte, 4096); err == nil; {
		_, err = out.Write(block)
	}
}

// free undoes fill.
func free(t *testing.T, folder string) {
	t.Helper()
	if err := os.Remove(filepath.Join(folder, ballast)); err != nil {
		t.Fatal(err)
	}
}
