package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell is a bash as a person has it in a terminal: what one block sets is there for the next.
type shell struct {
	t      testing.TB
	dir    string
	stdin  io.WriteCloser
	stdout *output
	ran    int
}

// newShell starts bash at the root of the repository.
func newShell(t testing.TB) *shell {
	t.Helper()
	needs(t, "bash")
	s := &shell{t: t, dir: t.TempDir(), stdout: &output{}}
	cmd := exec.Command("bash")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = root, environ(), s.stdout, s.stdout, attributes()
	var err error
	s.stdin, err = cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = s.stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return s
}

// run runs a block and returns what it printed, standard error too.
func (s *shell) run(text string) string {
	s.t.Helper()
	s.ran++
	file := filepath.Join(s.dir, fmt.Sprintf("block-%d.sh", s.ran))
	require.NoError(s.t, os.WriteFile(file, []byte(text), 0o600))
	before := len(s.stdout.String())
	end := fmt.Sprintf("\n--- end of block %d\n", s.ran)
	// The block must not read the shell's own input.
	_, err := fmt.Fprintf(s.stdin, ". '%s' </dev/null; printf '\\n--- end of block %d\\n'\n", file, s.ran)
	require.NoError(s.t, err)
	var printed string
	require.NoError(s.t, eventually(time.Minute, func() error {
		var done bool
		printed, _, done = strings.Cut(s.stdout.String()[before:], end)
		if !done {
			return fmt.Errorf("the block has not ended:\n%s\nwhich printed:\n%s", text, printed)
		}
		return nil
	}))
	return printed
}
