package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platform/home"
)

func TestScriptGivesAShellTheSameEnvironment(t *testing.T) {
	h, err := home.Open(filepath.Join(t.TempDir(), "it's a $HOME"))
	require.NoError(t, err)
	defer h.Close()
	env := &environment{
		inherited:  map[string]string{"ASHLAR_AUTH_DATABASE_URL": "postgres://auth:geheim@db/auth?a=b&c=d"},
		consulAddr: "127.0.0.1:8500", clusterKey: h.Path("cluster.key"), home: h,
		admin: home.Admin{Email: "o'brien@example.com", PasswordFile: h.Path("admin-password")},
	}
	for _, p := range []program{
		{name: "audit", database: true}, {name: "auth", database: true, admin: true}, {name: "gateway", gateway: true},
	} {
		t.Run(p.name, func(t *testing.T) {
			file := h.Path("script")
			script := env.script(p)
			require.NotContains(t, script, "geheim")
			require.NoError(t, home.WriteFile(file, script))
			shell := exec.Command("/bin/sh", "-euc", `set -a; . "$1"; exec env`, "sh", file)
			shell.Env = []string{"PATH=" + os.Getenv("PATH"), "ASHLAR_AUTH_DATABASE_URL=" + env.inherited["ASHLAR_AUTH_DATABASE_URL"]}
			out, err := shell.Output()
			require.NoError(t, err)
			got := parseEnviron(strings.Split(strings.TrimSpace(string(out)), "\n"))
			for name, value := range env.own(p) {
				require.Equal(t, value, got[name], name)
			}
		})
	}
	shell := exec.Command("/bin/sh", "-c", `. "$1"`, "sh", h.Path("script"))
	require.NoError(t, home.WriteFile(h.Path("script"), env.script(program{name: "auth", database: true})))
	shell.Env = []string{}
	out, err := shell.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the database of auth was given by it")
}

func TestConsulGetsNoneOfOurVariables(t *testing.T) {
	a, err := newAgent(t.Context(), "consul", []string{
		"PATH=/bin", "ASHLAR_ADMIN_PASSWORD=geheim", "ASHLAR_AUTH_DATABASE_URL=postgres://auth:geheim@db/auth", "CONSUL_HTTP_TOKEN=geheim", "HOME=/root",
	})
	require.NoError(t, err)
	defer a.registry.Close()
	require.Equal(t, []string{"PATH=/bin", "HOME=/root"}, a.environ)
	command, err := a.command()
	require.NoError(t, err)
	require.Equal(t, a.environ, command.Env)
}

// With a folder of addresses no process gets one, but the name of its file; one that was given for a service goes first.
func TestAddressesInFiles(t *testing.T) {
	folder := t.TempDir()
	list := []program{{name: "audit", database: true}, {name: "auth", database: true}, {name: "gateway", gateway: true}}
	inherited := map[string]string{"ASHLAR_AUTH_DATABASE_URL": "postgres://auth:geheim@db/auth"}
	_, err := databasesFolder(folder, inherited, list)
	require.ErrorContains(t, err, "audit.dsn does not exist: platformctl db provision")
	file := DatabaseFile(folder, "audit")
	require.NoError(t, os.WriteFile(file, []byte("postgres://audit:secret@db/audit\n"), 0o644))
	require.NoError(t, os.Chmod(file, 0o644))
	_, err = databasesFolder(folder, inherited, list)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(file, 0o600))
	databases, err := databasesFolder(folder, inherited, list)
	require.NoError(t, err)

	env := &environment{inherited: inherited, databases: databases}
	require.Equal(t, file, env.own(list[0])["ASHLAR_DATABASE_URL_FILE"])
	require.NotContains(t, env.own(list[0]), "ASHLAR_DATABASE_URL")
	require.NotContains(t, env.script(list[0]), "secret")
	require.Equal(t, inherited["ASHLAR_AUTH_DATABASE_URL"], env.own(list[1])["ASHLAR_DATABASE_URL"])
	require.NotContains(t, env.own(list[1]), "ASHLAR_DATABASE_URL_FILE")
	require.NotContains(t, env.own(list[2]), "ASHLAR_DATABASE_URL_FILE")

	none, err := databasesFolder("", inherited, list)
	require.NoError(t, err)
	require.Empty(t, none)
	for _, name := range []string{"ASHLAR_DATABASE_URL", "ASHLAR_DATABASE_URL_FILE"} {
		require.ErrorContains(t, checkEnviron(map[string]string{name: "x"}, list), name+" names one database")
	}
	for _, name := range []string{"ASHLAR_ADMIN_DSN", "ASHLAR_DATABASES", "ASHLAR_DATABASE_URL_FILE"} {
		require.True(t, isOurs(name), name)
	}
}
