package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/kernel/workload"
)

// failWithin is how long a process that cannot start may take to say so.
const failWithin = 30 * time.Second

// alone is the environment of one process, without platformctl.
func alone(t testing.TB, consul string) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	key := filepath.Join(dir, "cluster.key")
	require.NoError(t, workload.CreateClusterKey(key))
	return environ("ASHLAR_CONSUL_ADDR="+consul, "ASHLAR_CLUSTER_KEY_FILE="+key, "ASHLAR_GATEWAY_ADDR=127.0.0.1:0"), dir
}

// database is the variable that gives a service an SQLite file in a folder.
func database(dir, service string) string {
	return "ASHLAR_DATABASE_URL=sqlite://" + filepath.ToSlash(filepath.Join(dir, service+".db"))
}

// A process that cannot start says what is wrong, where, and how to mend it, and exits non-zero.
func TestProcessesThatCannotStart(t *testing.T) {
	agent := consultest.Start(t)
	nobody, err := freeAddress()
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		// env returns what is wrong, and what the process must say.
		env  func(t *testing.T, dir string) (env, says []string)
		only string // the one service that this is about
	}{
		{name: "database file in a folder that cannot be", only: "identity", env: func(_ *testing.T, dir string) ([]string, []string) {
			file := filepath.Join(dir, "cluster.key", "identity.db")
			return []string{"ASHLAR_DATABASE_URL=sqlite://" + file}, []string{file}
		}},
		{name: "database file that is a folder", only: "identity", env: func(t *testing.T, dir string) ([]string, []string) {
			folder := filepath.Join(dir, "identity.db")
			require.NoError(t, os.Mkdir(folder, 0o700))
			return []string{"ASHLAR_DATABASE_URL=sqlite://" + folder}, []string{folder}
		}},
		{name: "database file that is none", only: "identity", env: func(t *testing.T, dir string) ([]string, []string) {
			file := filepath.Join(dir, "identity.db")
			require.NoError(t, os.WriteFile(file, []byte("This is a shopping list, and no database. It is long enough to look like one from outside."), 0o600))
			return []string{"ASHLAR_DATABASE_URL=sqlite://" + file}, []string{file}
		}},
		{name: "no database", only: "identity", env: func(*testing.T, string) ([]string, []string) {
			return nil, []string{"ASHLAR_DATABASE_URL"}
		}},
		{name: "no Consul", env: func(*testing.T, string) ([]string, []string) {
			return []string{"ASHLAR_CONSUL_ADDR=" + nobody}, []string{"no Consul agent at " + nobody, "ASHLAR_CONSUL_ADDR"}
		}},
		{name: "cluster key that others can read", env: func(t *testing.T, dir string) ([]string, []string) {
			key := filepath.Join(dir, "open.key")
			require.NoError(t, workload.CreateClusterKey(key))
			require.NoError(t, os.Chmod(key, 0o644))
			return []string{"ASHLAR_CLUSTER_KEY_FILE=" + key}, []string{"others can read " + key, "chmod 600"}
		}},
		{name: "no cluster key", env: func(_ *testing.T, dir string) ([]string, []string) {
			key := filepath.Join(dir, "missing.key")
			return []string{"ASHLAR_CLUSTER_KEY_FILE=" + key}, []string{key, "openssl rand -base64 32"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, service := range services {
				if c.only != "" && c.only != service {
					continue
				}
				t.Run(service, func(t *testing.T) {
					env, dir := alone(t, agent.Addr)
					wrong, says := c.env(t, dir)
					if c.only == "" && service != "gateway" {
						env = append(env, database(dir, service))
					}
					p, code := run(t, failWithin, append(env, wrong...), built(t, service))
					assert.NotZero(t, code)
					for _, text := range says {
						assert.Contains(t, p.stderr.String(), text)
					}
					own, err := ownServices(agent.Addr)
					require.NoError(t, err)
					assert.Empty(t, own, "what cannot start is in Consul")
				})
			}
		})
	}
}

// So does `up`, and it leaves nothing running.
func TestUpThatCannotStart(t *testing.T) {
	nobody, err := freeAddress()
	require.NoError(t, err)
	platformctl := built(t, "platformctl")
	try := func(t *testing.T, s settings, env ...string) (p *program, code int) {
		t.Helper()
		env = append([]string{"ASHLAR_HOME=" + s.home, "ASHLAR_GATEWAY_ADDR=" + s.gateway}, env...)
		return run(t, startWithin, environ(env...), platformctl, "up")
	}
	t.Run("no Consul", func(t *testing.T) {
		p, code := try(t, newSettings(t), "CONSUL_HTTP_ADDR="+nobody)
		assert.Equal(t, 4, code)
		assert.Contains(t, p.stderr.String(), "no Consul agent at "+nobody)
	})
	agent := consultest.Start(t)
	t.Run("a database that cannot be opened", func(t *testing.T) {
		s := newSettings(t)
		require.NoError(t, os.MkdirAll(filepath.Join(s.home, "identity.db"), 0o700))
		p, code := try(t, s, "CONSUL_HTTP_ADDR="+agent.Addr)
		assert.Equal(t, 1, code)
		assert.Contains(t, p.stderr.String(), filepath.Join(s.home, "identity.db"))
		own, err := ownServices(agent.Addr)
		require.NoError(t, err)
		assert.Empty(t, own)
	})
	t.Run("a cluster key that others can read", func(t *testing.T) {
		s := newSettings(t)
		require.NoError(t, os.MkdirAll(s.home, 0o700))
		key := filepath.Join(s.home, "cluster.key")
		require.NoError(t, workload.CreateClusterKey(key))
		require.NoError(t, os.Chmod(key, 0o640))
		p, code := try(t, s, "CONSUL_HTTP_ADDR="+agent.Addr)
		assert.NotZero(t, code)
		assert.Contains(t, p.stderr.String(), "others can read "+key)
	})
	t.Run("an address of the gateway that is taken", func(t *testing.T) {
		s := newSettings(t)
		s.gateway = agent.Addr
		p, code := try(t, s, "CONSUL_HTTP_ADDR="+agent.Addr)
		assert.NotZero(t, code)
		assert.Contains(t, p.stderr.String(), agent.Addr)
		assert.Contains(t, p.stderr.String(), "ASHLAR_GATEWAY_ADDR")
	})
}
