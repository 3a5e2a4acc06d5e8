// Package completion completes command lines in shells: `platformctl completion` writes what a shell needs, and
// Predictors know what can stand where only the platform knows: names of RPCs, organizations, roles. Whatever goes wrong
// while a line is completed, nothing is offered and nothing is said.
package completion

import (
	"context"
	"fmt"
	"os"
	"strings"

	"ashlar.dev/platformctl/output"
)

// Commands are the commands of this package.
type Commands struct {
	Completion Completion `cmd:"" group:"This machine" help:"Write what a shell needs to complete command lines of platformctl."`
}

// Completion is the command.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help implements kong.HelpProvider.
func (*Completion) Help() string {
	return `Commands, flags, and names of RPCs (for curl), services, organizations, roles and profiles are completed.

  bash   eval "$(platformctl completion bash)"     in ~/.bashrc
  zsh    eval "$(platformctl completion zsh)"      in ~/.zshrc, after compinit
  fish   platformctl completion fish | source      in ~/.config/fish/config.fish`
}

// The shell runs platformctl with the line in COMP_LINE; it answers with one candidate on each line.
var scripts = map[string]string{
	"bash": "complete -C BINARY platformctl\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -C BINARY platformctl\n",
	"fish": `function __complete_platformctl
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    BINARY
end
complete -f -c platformctl -a "(__complete_platformctl)"
`,
}

// Run implements the command.
func (c *Completion) Run(_ context.Context, streams *output.Streams) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find platformctl itself: %w", err)
	}
	word := quote(binary)
	if c.Shell != "fish" {
		word = quote(word) // complete runs it by a shell
	}
	_, err = fmt.Fprint(streams.Out, strings.ReplaceAll(scripts[c.Shell], "BINARY", word))
	return err
}

// quote writes text as one word of any of the shells.
func quote(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
