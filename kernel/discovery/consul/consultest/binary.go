package consultest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// EnvBinary names the environment variable with the path of the consul binary.
const EnvBinary = "ASHLAR_TEST_CONSUL"

// Binary returns the path of the consul binary. Without one it skips the test, or fails it where CI=true.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(EnvBinary); path != "" {
		if err := executable(path); err != nil {
			t.Fatalf("%s: %v", EnvBinary, err)
		}
		return path
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return path
	}
	if path, found := inWorkspace(); found {
		return path
	}
	const missing = "no consul binary: set " + EnvBinary + ", put consul on PATH, or build it into .bin/ of the workspace"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// inWorkspace looks for .bin/consul beside the go.work file above the working directory.
func inWorkspace() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			path := filepath.Join(dir, ".bin", "consul")
			return path, executable(path) == nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

func executable(path string) error {
	_, err := exec.LookPath(path)
	return err
}
