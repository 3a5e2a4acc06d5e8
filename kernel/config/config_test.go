package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
)

// settings are what a process could have.
type settings struct {
	config.File

	ListenAddr string        `help:"Where." default:"127.0.0.1:0"`
	Timeout    time.Duration `help:"How long." default:"60s"`
	Level      slog.Level    `help:"How much." default:"INFO"`
	Origins    []string      `help:"From where."`
	Password   config.Secret `help:"Secret." env:"ASHLAR_PASSWORD,OLD_PASSWORD"`
	Loud       bool          `help:"Or not."`
}

func parse(t *testing.T, args ...string) (settings, error) {
	t.Helper()
	var s settings
	err := config.Parse(&s, "test", "Tests.", args, &bytes.Buffer{}, func(code int) { t.Errorf("exit %d", code) })
	return s, err
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ashlar.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// A flag wins over the environment, that over the file, that over the default.
func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		flag, env, file bool
		want            time.Duration
	}{
		{false, false, false, 60 * time.Second},
		{false, false, true, 30 * time.Second},
		{false, true, false, 20 * time.Second},
		{false, true, true, 20 * time.Second},
		{true, false, false, 10 * time.Second},
		{true, false, true, 10 * time.Second},
		{true, true, false, 10 * time.Second},
		{true, true, true, 10 * time.Second},
	} {
		for _, named := range []string{"by flag", "by environment"} {
			t.Run(fmt.Sprintf("%+v, file named %s", test, named), func(t *testing.T) {
				var args []string
				if test.file {
					path := file(t, "timeout: 30s\n")
					if named == "by flag" {
						args = append(args, "--config", path)
					} else {
						t.Setenv("ASHLAR_CONFIG", path)
					}
				}
				if test.env {
					t.Setenv("ASHLAR_TIMEOUT", "20s")
				}
				if test.flag {
					args = append(args, "--timeout=10s")
				}
				s, err := parse(t, args...)
				require.NoError(t, err)
				require.Equal(t, test.want, s.Timeout)
				require.Equal(t, "127.0.0.1:0", s.ListenAddr)
			})
		}
	}
}

// An old name of a variable counts as well, and also wins over the file.
func TestSecondNameOfAVariable(t *testing.T) {
	t.Setenv("OLD_PASSWORD", "from the environment")
	s, err := parse(t, "--config", file(t, "password: from the file\n"))
	require.NoError(t, err)
	require.Equal(t, "from the environment", s.Password.Reveal())
	t.Setenv("ASHLAR_PASSWORD", "newer")
	s, err = parse(t)
	require.NoError(t, err)
	require.Equal(t, "newer", s.Password.Reveal())
}

func TestKindsOfValues(t *testing.T) {
	s, err := parse(t, "--config", file(t, "listen-addr: 0.0.0.0:80\ntimeout: 1m30s\nlevel: DEBUG\norigins: [https://a.example, https://b.example]\nloud: true\n"))
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:80", s.ListenAddr)
	require.Equal(t, 90*time.Second, s.Timeout)
	require.Equal(t, slog.LevelDebug, s.Level)
	require.Equal(t, []string{"https://a.example", "https://b.example"}, s.Origins)
	require.True(t, s.Loud)
}

func TestWhatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		file string
		says []string
	}{
		"an unknown flag":           {args: []string{"--timeuot=1s"}, says: []string{"--timeuot"}},
		"a stray word":              {args: []string{"start"}, says: []string{"start"}},
		"a bad duration":            {args: []string{"--timeout=long"}, says: []string{"timeout", "long"}},
		"a bad level":               {env: map[string]string{"ASHLAR_LEVEL": "LOUD"}, says: []string{"level", "LOUD"}},
		"an unknown key":            {file: "timeuot: 1s\n", says: []string{`unknown key "timeuot"`, "timeout"}},
		"several unknown keys":      {file: "b: 1\na: 2\n", says: []string{`unknown key "a"`, `unknown key "b"`}},
		"a bad value in the file":   {file: "timeout: long\n", says: []string{"timeout"}},
		"a file that is no YAML":    {file: "timeout: [1s\n", says: []string{"[1:"}},
		"a list":                    {file: "- timeout\n", says: []string{"configuration"}},
		"a key that is there twice": {file: "timeout: 1s\ntimeout: 2s\n", says: []string{"timeout"}},
		"a large file":              {file: "#" + strings.Repeat("x", 1<<20), says: []string{"more than 1048576 bytes"}},
		"a file that is not there":  {args: []string{"--config=/no/such/file.yaml"}, says: []string{"/no/such/file.yaml"}},
		"one that a variable names": {
			env: map[string]string{"ASHLAR_CONFIG": "/no/such/file.yaml"}, says: []string{"ASHLAR_CONFIG", "/no/such/file.yaml"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range test.env {
				t.Setenv(key, value)
			}
			args := test.args
			if test.file != "" {
				args = append(args, "--config", file(t, test.file))
			}
			_, err := parse(t, args...)
			require.Error(t, err)
			for _, says := range test.says {
				require.ErrorContains(t, err, says)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Setenv("ASHLAR_PASSWORD", "hunter2")
	var out bytes.Buffer
	code := -1
	func() {
		defer func() { _ = recover() }() // exit does not return
		_ = config.Parse(&settings{}, "test", "Tests.", []string{"--help"}, &out, func(c int) { code = c; panic("exit") })
	}()
	require.Zero(t, code)
	require.Contains(t, out.String(), "$ASHLAR_LISTEN_ADDR")
	require.Contains(t, out.String(), "--listen-addr")
	require.Contains(t, out.String(), "ASHLAR_CONFIG")
	require.NotContains(t, out.String(), "hunter2")
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Setenv("ASHLAR_PASSWORD", "hunter2")
	s, err := parse(t)
	require.NoError(t, err)
	require.Equal(t, "hunter2", s.Password.Reveal())

	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		log := slog.New(handler)
		log.Info("x", "settings", s, "password", s.Password, "pointer", &s.Password, "list", []config.Secret{s.Password})
	}
	asJSON, err := json.Marshal(map[string]any{"s": s.Password, "p": &s.Password, "struct": s})
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(map[string]any{"s": s.Password})
	require.NoError(t, err)
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%+v": fmt.Sprintf("%+v", s), "%#v": fmt.Sprintf("%#v", s), "%s": fmt.Sprintf("is %s", s.Password),
		"%q": fmt.Sprintf("%q", s.Password), "%x": fmt.Sprintf("%x", s.Password), "%X": fmt.Sprintf("%X", s.Password), "%10v": fmt.Sprintf("%10v", s.Password),
		"pointer": fmt.Sprintf("%v", &s.Password), "log": logged.String(), "JSON": string(asJSON), "YAML": string(asYAML),
		"error": fmt.Errorf("wrong: %v", s.Password).Error(),
	} {
		require.NotContains(t, text, "hunter2", name)
		require.NotContains(t, strings.ToLower(text), "68756e74657232", name) // in hexadecimal
	}
	require.Empty(t, config.Secret("").String(), "an empty one shows that it is empty")
}

// A secret in the wrong place is not quoted by the error either.
func TestErrorsDoNotQuoteSecrets(t *testing.T) {
	for _, value := range []string{"[hunter2, {}]", "{hunter2: 1}", "!!int 4815162342"} {
		_, err := parse(t, "--config", file(t, "password: "+value+"\n"))
		require.ErrorContains(t, err, "put it in quotes")
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), "4815162342")
	}
	_, err := parse(t, "--config", file(t, "password: hunter2\n  bad: indent\n"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// greet is a command of a program.
type greet struct {
	Name  string `arg:""`
	Twice bool   `env:"-" help:"Or once."`
}

// Run implements the command.
func (g *greet) Run(ctx context.Context, out io.Writer, target config.Target) error {
	s, ok := target.Value.(*settings)
	if !ok {
		return fmt.Errorf("%T", target.Value)
	}
	_, err := fmt.Fprintf(out, "%s %t %s", g.Name, g.Twice, s.Timeout)
	return errors.Join(err, ctx.Err())
}

func TestCommands(t *testing.T) {
	parse := func(args ...string) (out bytes.Buffer, ran bool, err error) {
		var s settings
		run, err := config.ParseCommand(&s, "test", "Tests.", args, &out, func(code int) { t.Errorf("exit %d", code) },
			config.Command{Name: "greet", Help: "Greets.", Struct: &greet{}})
		if err != nil || run == nil {
			return out, false, err
		}
		err = run(t.Context())
		return out, true, err
	}
	t.Setenv("ASHLAR_TIMEOUT", "7s")
	for _, args := range [][]string{{}, {"--timeout=1s"}, {"serve"}, {"--timeout=1s", "serve"}} {
		_, ran, err := parse(args...)
		require.NoError(t, err)
		require.False(t, ran, args)
	}
	out, ran, err := parse("greet", "Bob", "--twice")
	require.NoError(t, err)
	require.True(t, ran)
	require.Equal(t, "Bob true 7s", out.String())
	out, _, err = parse("greet", "Bob", "--timeout=1s")
	require.NoError(t, err)
	require.Equal(t, "Bob false 1s", out.String())
	_, _, err = parse("dance")
	require.ErrorContains(t, err, "dance")
}
