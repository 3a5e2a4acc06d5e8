package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/platform/service"
	"ashlar.dev/platformctl/cli"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/profile"
	"ashlar.dev/services/audit"
	"ashlar.dev/services/auth"
	"ashlar.dev/services/authz"
	"ashlar.dev/services/identity"
)

// leaked is the exit code of a platformctl that left goroutines behind.
const leaked = 99

// The test binary is every program that scripts need: under the name of one, it is that one.
func TestMain(m *testing.M) {
	programs := map[string]func(){
		"platformctl": func() {
			code := cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
			if err := leaktest.Find(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = leaked
			}
			os.Exit(code)
		},
		"code":    code,
		"scrub":   scrub,
		"profile": editProfile,
		"people":  people,
	}
	for _, module := range []service.Module{audit.Module(audit.Config{}), auth.Module(auth.Config{}), authz.Module(), identity.Module()} {
		programs[module.Manifest().Name] = func() { serviceProgram(module) }
	}
	testscript.Main(checked{m}, programs)
}

// serviceProgram is what `.bin/NAME db …` is, without the part that serves.
func serviceProgram(module service.Module) {
	run, err := config.ParseCommand(&service.Config{}, module.Manifest().Name, "", os.Args[1:], os.Stdout, os.Exit, service.DatabaseCommand(module))
	if err == nil {
		err = run(context.Background())
	}
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		os.Exit(coded.ExitCode())
	}
	os.Exit(1)
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
	if err := leaktest.Find(); err != nil && code == 0 {
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

// people makes each name a person, with a profile of that name that is signed in and a file NAME.id: exec people bob
func people() {
	for _, name := range os.Args[1:] {
		if err := newPerson(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func newPerson(name string) error {
	const password = "correct horse battery staple"
	ctx := context.Background()
	flags := client.Flags{Gateway: os.Getenv("GATEWAY")}
	connection, err := flags.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	// The folder of the script, so that scripts have people of their own.
	email := name + "@" + filepath.Base(os.Getenv("WORK")) + ".example.com"
	auth := authv1connect.NewAuthServiceClient(connection.Anonymous())
	signedUp, err := auth.SignUp(ctx, &authv1.SignUpRequest{Email: email, Password: password, DisplayName: name})
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".id", []byte(signedUp.GetUserId()), 0o600); err != nil {
		return err
	}
	var said strings.Builder
	arguments := []string{"login", "--profile", name, "--gateway", flags.Gateway, "--email", email, "--password-stdin"}
	if code := cli.Run(ctx, arguments, strings.NewReader(password), &said, &said); code != 0 {
		return errors.New(said.String())
	}
	return nil
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
	text = bytes.ReplaceAll(text, []byte(os.Getenv("WORK")), []byte("WORK"))
	for _, v := range volatile {
		text = v.pattern.ReplaceAll(text, []byte(v.name))
	}
	_, _ = os.Stdout.Write(text)
}
