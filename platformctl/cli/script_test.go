package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scripts in testdata/script against a real platform. Each has a folder of profiles of its own.
// UPDATE=1 writes what commands say into the files that scripts compare it with.
//
//	exec code 6 COMMAND…   the command ends with that exit code
//	exec scrub             copies its input without ids, times and widths of columns
//	exec profile expire    the access token of the profile is about to expire; spoil: it is not taken any more
//	exec people NAME…      makes each a person, with a profile that is signed in and a file NAME.id
func TestScripts(t *testing.T) {
	gateway := sharedGateway(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".ashlar")
			for path, content := range map[string]string{
				"admin-email": adminEmail, "admin-password": adminPassword,
				"env/gateway": "ASHLAR_GATEWAY_ADDR=" + common.address,
			} {
				path := filepath.Join(home, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					return err
				}
				if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
					return err
				}
			}
			for _, name := range []string{"audit", "auth", "authz", "identity"} {
				script := "ASHLAR_DATABASE_URL=sqlite://" + filepath.Join(home, name+".db") + "\n"
				if err := os.WriteFile(filepath.Join(home, "env", name), []byte(script), 0o600); err != nil {
					return err
				}
			}
			// The programs of this test are in the first folder of the path.
			env.Setenv("ASHLAR_BIN", filepath.SplitList(env.Getenv("PATH"))[0])
			root, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("ASHLAR_ROOT", root)
			env.Setenv("GATEWAY", gateway)
			env.Setenv("GATEWAY_OPS", common.platform.Gateway.OpsAddress())
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("ADMIN_PASSWORD", adminPassword)
			return nil
		},
	})
}
