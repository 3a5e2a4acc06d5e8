package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScriptGivesAShellTheSameEnvironment(t *testing.T) {
	h := &home{dir: filepath.Join(t.TempDir(), "it's a $HOME"), shown: ".ashlar"}
	require.NoError(t, os.Mkdir(h.dir, 0o700))
	env := &environment{
		inherited:  map[string]string{"ASHLAR_AUTH_DATABASE_URL": "postgres://auth:geheim@db/auth?a=b&c=d"},
		consulAddr: "127.0.0.1:8500", clusterKey: h.path("cluster.key"), home: h,
		admin: admin{email: "o'brien@example.com", passwordFile: h.path("admin-password")},
	}
	for _, p := range platform {
		t.Run(p.name, func(t *testing.T) {
			file := h.path("script")
			script := env.script(p)
			require.NotContains(t, script, "geheim")
			require.NoError(t, writeFile(file, script))
			shell := exec.Command("/bin/sh", "-euc", `set -a; . "$1"; exec env`, "sh", file)
			shell.Env = []string{"PATH=" + os.Getenv("PATH"), "ASHLAR_AUTH_DATABASE_URL=" + env.inherited["ASHLAR_AUTH_DATABASE_URL"]}
			out, err := shell.Output()
			require.NoError(t, err)
			got := parseEnviron(splitLines(string(out)))
			for name, value := range env.own(p) {
				require.Equal(t, value, got[name], name)
			}
		})
	}
	shell := exec.Command("/bin/sh", "-c", `. "$1"`, "sh", h.path("script"))
	require.NoError(t, writeFile(h.path("script"), env.script(program{name: "auth", database: true})))
	shell.Env = []string{}
	out, err := shell.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the database of auth was given by it")
}
