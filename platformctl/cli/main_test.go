package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"ashlar.dev/platformctl/cli"
	"ashlar.dev/platformctl/profile"
)

// leaked is the exit code of a platformctl that left goroutines behind.
const leaked = 99

// The test binary is every program that scripts need: under the name of one, it is that one.
func TestMain(m *testing.M) {
	testscript.Main(checked{m}, map[string]func(){
		"platformctl": func() {
			code := cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
			if err := goleak.Find(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = leaked
			}
			os.Exit(code)
		},
		"code":    code,
		"scrub":   scrub,
		"profile": editProfile,
	})
}

// checked runs the tests, stops what they share, and looks for what they left behind.
type checked struct{ m *testing.M }

// Run implements testscript.TestingM.
func (c checked) Run() int {
	code := c.m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the platform:", err)
		return 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// code runs a command that should end with an exit code: exec code 6 platformctl whoami
func code() {
	command := exec.Command(os.Args[2], os.Args[3:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Run(); command.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if got := strconv.Itoa(command.ProcessState.ExitCode()); got != os.Args[1] {
		fmt.Fprintf(os.Stderr, "exit code %s, want %s\n", got, os.Args[1])
		os.Exit(1)
	}
}

// editProfile makes the access token of the default profile one that is about to expire, or one that the platform does
// not take: exec profile expire
func editProfile() {
	store, err := profile.Open("")
	if err == nil {
		err = store.Update(context.Background(), profile.DefaultName, func(p *profile.Profile) error {
			switch os.Args[1] {
			case "expire":
				p.Tokens.ExpiresAt = time.Now()
			case "spoil":
				p.Tokens.Access += "x"
			case "token":
				fmt.Println(p.Tokens.Access.Reveal())
			default:
				return fmt.Errorf("unknown: %s", os.Args[1])
			}
			return nil
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// volatile is what is another one each time.
var volatile = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\b(usr|org|ses|grt|evt)_[0-9a-z]{26}\b`), "${1}_ID"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "GATEWAY"},
	{regexp.MustCompile(`  +`), "  "}, // columns are as wide as what was in them
	{regexp.MustCompile(`(?m)^ +`), " "},
}

// scrub copies standard input without what is another one each time.
func scrub() {
	text, err := io.ReadAll(bufio.NewReader(os.Stdin))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, v := range volatile {
		text = v.pattern.ReplaceAll(text, []byte(v.name))
	}
	_, _ = os.Stdout.Write(text)
}
