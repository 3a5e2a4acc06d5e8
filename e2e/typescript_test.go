package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
)

var installed struct {
	once   sync.Once
	output []byte
	err    error
}

// consumer returns the folder of a package that has installed @ashlar/client as any other does.
func consumer(t testing.TB) string {
	t.Helper()
	needs(t, "node", "npm")
	if _, err := os.Stat(filepath.Join(root, "gen", "ts", "dist", "ashlar")); err != nil {
		missing(t, "gen/ts/dist is missing: `./taskw gen:ts:build` makes it")
	}
	folder := filepath.Join(root, "e2e", "ts")
	installed.once.Do(func() {
		// Always: gen/ts is copied, and may be another than the last time.
		cmd := exec.Command("npm", "ci", "--prefer-offline", "--loglevel=error")
		cmd.Dir = folder
		installed.output, installed.err = cmd.CombinedOutput()
	})
	require.NoError(t, installed.err, "npm ci in e2e/ts: %s", installed.output)
	return folder
}

// inFolder runs a program in a folder to its end.
func inFolder(t testing.TB, folder, path string, args ...string) string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = folder
	printed, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", path, args, printed)
	return string(printed)
}

// project returns a new folder in which TypeScript finds what e2e/ts has installed.
func project(t testing.TB) string {
	t.Helper()
	installedIn := consumer(t)
	folder := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(installedIn, "node_modules"), filepath.Join(folder, "node_modules")))
	for _, file := range []string{"package.json", "tsconfig.json"} {
		content, err := os.ReadFile(filepath.Join(installedIn, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), content, 0o600))
	}
	return folder
}

// The README's TypeScript has no type errors, and does in Node.js what it says.
func TestTheTypeScriptOfTheReadme(t *testing.T) {
	p := shared(t)
	folder := project(t)
	blocks := inLanguage(walk(t, p.url(), p.home), "ts")
	require.Len(t, blocks, 1, "blocks of TypeScript in the README's walk")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "readme.ts"), []byte(blocks[0]), 0o600))

	// Bob has signed up earlier in the walk.
	bob := &authv1.SignUpRequest{Email: "bob@example.com", Password: password, DisplayName: "Bob"}
	a := speeches[0].send(t, call{url: p.url(), procedure: signUp, message: bob})
	require.Contains(t, []string{"", "already_exists"}, a.code, a)

	inFolder(t, folder, filepath.Join(folder, "node_modules", ".bin", "tsc"), "--project", ".", "--noEmit", "false")
	printed := inFolder(t, folder, "node", "readme.js")
	assert.Contains(t, printed, "bob@example.com")
	assert.Contains(t, printed, signIn(t, p.url(), bob.GetEmail(), password).id)
}

// The generated package and what tests make of it have no type errors.
func TestTypes(t *testing.T) {
	folder := consumer(t)
	inFolder(t, folder, filepath.Join(folder, "node_modules", ".bin", "tsc"), "--project", ".")
}
