package provision_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platformctl/provision"
)

func TestWhatIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "audit", "auth")
	outcomes, err := w.run(w.address)
	require.NoError(t, err)
	require.Len(t, outcomes, 2)
	require.Equal(t, "audit", outcomes[0].Service)
	require.Equal(t, w.Role("audit"), outcomes[0].Role)
	require.Equal(t, []string{"role", "schema", "password"}, outcomes[0].Made)
	require.Empty(t, outcomes[0].Kept)
	info, err := os.Stat(w.folder)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, name := range []string{"audit", "auth"} {
		info, err := os.Stat(w.file(name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		u, err := url.Parse(w.of(name).Reveal())
		require.NoError(t, err)
		require.Equal(t, w.Role(name), u.User.Username())
	}

	// Everything is there: nothing changes.
	address := w.of("auth")
	outcomes, err = w.run(w.address)
	require.NoError(t, err)
	require.Empty(t, outcomes[1].Made)
	require.Equal(t, []string{"role", "schema", "password"}, outcomes[1].Kept)
	require.Equal(t, address, w.of("auth"))

	// A service that is new.
	w.Services = append(w.Services, provision.Service{Name: "notes", Schema: "notes", File: w.file("notes")})
	outcomes, err = w.run(w.address)
	require.NoError(t, err)
	require.Empty(t, outcomes[0].Made)
	require.Equal(t, []string{"role", "schema", "password"}, outcomes[2].Made)
	files, err := os.ReadDir(w.folder)
	require.NoError(t, err)
	require.Len(t, files, 3, "nothing temporary is left")
}

// A file that is lost, cut short, or has a password of before, costs the service its password and nothing else.
func TestAnotherPassword(t *testing.T) {
	t.Parallel()
	w := provisioned(t, "auth", "identity")
	other := w.of("identity")
	w.do(w.of("auth"), "CREATE TABLE credentials ()")
	for name, spoil := range map[string]func(w *world){
		"lost":      func(w *world) { require.NoError(w.t, os.Remove(w.file("auth"))) },
		"empty":     func(w *world) { require.NoError(w.t, os.WriteFile(w.file("auth"), nil, 0o600)) },
		"cut short": func(w *world) { require.NoError(w.t, os.WriteFile(w.file("auth"), []byte("postgr"), 0o600)) },
		"of before": func(w *world) { w.do(w.address, "ALTER ROLE "+w.Role("auth")+" PASSWORD 'another'") },
		"taken away": func(w *world) {
			w.do(w.address, "ALTER ROLE "+w.Role("auth")+" PASSWORD NULL")
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.of("auth")
			spoil(w)
			outcomes, err := w.run(w.address)
			require.NoError(t, err)
			require.Equal(t, []string{"password"}, outcomes[0].Made)
			require.Empty(t, outcomes[1].Made)
			require.Equal(t, other, w.of("identity"))
			require.Equal(t, "28P01", code(t, w.try(before, "SELECT 1")))
			w.do(w.of("auth"), "SELECT 1 FROM credentials")
		})
	}
}

// What a run that was cut, or somebody in between, has left is put right.
func TestRepair(t *testing.T) {
	t.Parallel()
	w := provisioned(t, "auth", "identity")
	u, err := url.Parse(w.address.Reveal())
	require.NoError(t, err)
	for name, spoil := range map[string][]string{
		"a role only":           {"DROP SCHEMA auth CASCADE", "ALTER ROLE ROLE PASSWORD NULL"},
		"no login":              {"ALTER ROLE ROLE NOLOGIN"},
		"too many rights":       {"ALTER ROLE ROLE SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS"},
		"expired":               {"ALTER ROLE ROLE VALID UNTIL '2001-01-01'"},
		"another's role":        {"GRANT pg_read_all_data TO ROLE", "GRANT OTHER TO ROLE"},
		"another's schema":      {"GRANT ALL ON SCHEMA identity TO ROLE"},
		"everybody's schema":    {"GRANT ALL ON SCHEMA auth TO PUBLIC"},
		"everybody's database":  {"GRANT ALL ON DATABASE DATABASE TO PUBLIC"},
		"public":                {"GRANT ALL ON SCHEMA public TO PUBLIC", "GRANT ALL ON SCHEMA public TO ROLE"},
		"no way in":             {"REVOKE CONNECT ON DATABASE DATABASE FROM ROLE"},
		"nowhere to look":       {"ALTER ROLE ROLE IN DATABASE DATABASE RESET ALL"},
		"a schema of the admin": {"ALTER SCHEMA auth OWNER TO ashlar"},
	} {
		t.Run(name, func(t *testing.T) {
			names := strings.NewReplacer("ROLE ROLE", "ROLE "+w.Role("auth"), "TO ROLE", "TO "+w.Role("auth"), "FROM ROLE", "FROM "+w.Role("auth"),
				"OTHER", w.Role("identity"), "DATABASE DATABASE", "DATABASE "+strings.Trim(u.Path, "/"))
			for _, statement := range spoil {
				w.do(w.address, names.Replace(statement))
			}
			_, err := w.run(w.address)
			require.NoError(t, err)
			w.do(w.of("auth"), "CREATE TABLE IF NOT EXISTS credentials ()")
			w.do(w.of("identity"), "CREATE TABLE IF NOT EXISTS users ()")
			require.Equal(t, "42501", code(t, w.try(w.of("auth"), "SELECT 1 FROM identity.users")))
			require.Equal(t, "42501", code(t, w.try(w.of("identity"), "SELECT 1 FROM auth.credentials")))
			require.Equal(t, "42501", code(t, w.try(w.of("auth"), "CREATE TABLE public.mine ()")))
			require.Equal(t, "auth", ask[string](w, w.of("auth"), "SELECT current_schema()"))
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "audit", "auth", "identity")
	made := make([]int, 5)
	var wait sync.WaitGroup
	for i := range made {
		wait.Go(func() {
			outcomes, err := w.run(w.address)
			assert.NoError(t, err)
			for _, o := range outcomes {
				made[i] += len(o.Made)
			}
		})
	}
	wait.Wait()
	sum := 0
	for _, n := range made {
		sum += n
	}
	require.Equal(t, 9, sum, "a role, a schema and a password for three services, once")
	for _, s := range w.Services {
		w.do(w.of(s.Name), "CREATE TABLE t ()")
	}
}

// The administrator of a managed server is no superuser.
func TestAdministratorWhoIsNoSuperuser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "auth", "identity")
	admin := w.RolePrefix + "_admin"
	w.do(w.address, "CREATE ROLE "+admin+" LOGIN CREATEROLE CREATEDB PASSWORD 'x'")
	database := w.RolePrefix + "_db"
	w.do(w.as(admin, "x"), "CREATE DATABASE "+database)
	t.Cleanup(func() {
		w.do(w.address, "DROP DATABASE "+database+" WITH (FORCE)", "DROP OWNED BY "+w.Role("auth"), "DROP OWNED BY "+w.Role("identity"),
			"DROP ROLE "+w.Role("auth"), "DROP ROLE "+w.Role("identity"), "DROP ROLE "+w.Role("notes"), "DROP ROLE "+admin)
	})
	in := func(address config.Secret) config.Secret {
		u, err := url.Parse(address.Reveal())
		require.NoError(t, err)
		u.Path = "/" + database
		return config.Secret(u.String())
	}
	address := in(w.as(admin, "x"))
	for range 2 {
		_, err := w.run(address)
		require.NoError(t, err)
	}
	w.do(w.of("auth"), "CREATE TABLE credentials ()")
	require.Equal(t, "42501", code(t, w.try(w.of("identity"), "SELECT 1 FROM auth.credentials")))
	require.Equal(t, "42501", code(t, w.try(address, "SELECT 1 FROM auth.credentials")), "the administrator is lent the roles only")

	// A new service, while the others hold tables; and a repair.
	w.Services = append(w.Services, provision.Service{Name: "notes", Schema: "notes", File: w.file("notes")})
	w.do(address, "ALTER ROLE "+w.Role("auth")+" NOLOGIN CREATEDB")
	require.NoError(t, os.Remove(w.file("auth")))
	outcomes, err := w.run(address)
	require.NoError(t, err)
	require.Equal(t, []string{"password"}, outcomes[0].Made)
	require.Len(t, outcomes[2].Made, 3)
	w.do(w.of("auth"), "SELECT 1 FROM credentials")
	w.do(address, "CREATE DATABASE "+database+"_again")
	t.Cleanup(func() { w.do(w.address, "DROP DATABASE "+database+"_again") })
}

// Nothing is changed where something is in the way, and the message says what and what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	conflict := func(t *testing.T, err error, says ...string) {
		t.Helper()
		var c provision.ConflictError
		require.ErrorAs(t, err, &c)
		for _, text := range says {
			require.ErrorContains(t, err, text)
		}
	}
	roles := func(w *world) int64 {
		return ask[int64](w, w.address, "SELECT count(*) FROM pg_roles WHERE starts_with(rolname, '"+w.RolePrefix+"_')")
	}
	t.Run("a database with something else in it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		w.do(w.address, "CREATE TABLE customers ()", "CREATE SCHEMA shop CREATE TABLE orders ()")
		_, err := w.run(w.address)
		conflict(t, err, "public.customers, shop.orders", "make one for the platform")
		require.Zero(t, roles(w))
		require.NoDirExists(t, filepath.Join(w.folder, "auth.dsn"))
	})
	t.Run("the server's own database", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		u, err := url.Parse(w.address.Reveal())
		require.NoError(t, err)
		u.Path = "/postgres"
		_, err = w.run(config.Secret(u.String()))
		conflict(t, err, "belongs to the server", "CREATE DATABASE")
	})
	t.Run("no such database", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		u, err := url.Parse(w.address.Reveal())
		require.NoError(t, err)
		u.Path = "/nowhere"
		_, err = w.run(config.Secret(u.String()))
		require.ErrorContains(t, err, "make it with CREATE DATABASE")
	})
	t.Run("a wrong password", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		_, err := w.run(w.as("ashlar", "hunter2"))
		require.ErrorContains(t, err, "refuses the user or the password")
		require.NotContains(t, err.Error(), "hunter2")
	})
	t.Run("a server that is not there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		_, err := w.run("postgres://ashlar:hunter2@127.0.0.1:1/ashlar")
		var away provision.UnreachableError
		require.ErrorAs(t, err, &away)
		require.NotContains(t, err.Error(), "hunter2")
	})
	t.Run("a second platform on the server", func(t *testing.T) {
		t.Parallel()
		first := provisioned(t, "auth")
		second := newWorld(t, "auth")
		second.RolePrefix = first.RolePrefix
		_, err := second.run(second.address)
		conflict(t, err, first.Role("auth"), "--role-prefix")
		first.do(first.of("auth"), "CREATE TABLE t ()") // it goes on
		second.RolePrefix = first.RolePrefix + "x"
		_, err = second.run(second.address)
		require.NoError(t, err)
		// The files of the first one are not those of the second.
		second.folder, second.Services[0].File = first.folder, first.file("auth")
		second.RolePrefix = first.RolePrefix + "x"
		before := first.of("auth")
		_, err = second.run(second.address)
		conflict(t, err, "name another folder")
		require.Equal(t, before, first.of("auth"))
	})
	t.Run("the address of another database", func(t *testing.T) {
		t.Parallel()
		w := provisioned(t, "auth")
		u, err := url.Parse(w.of("auth").Reveal())
		require.NoError(t, err)
		u.Path = "/postgres"
		require.NoError(t, os.WriteFile(w.file("auth"), []byte(u.String()), 0o600))
		_, err = w.run(w.address)
		conflict(t, err, "the address of another database")
	})
	t.Run("tables of somebody else in a schema", func(t *testing.T) {
		t.Parallel()
		w := provisioned(t, "auth")
		w.do(w.address, "CREATE TABLE auth.restored ()")
		_, err := w.run(w.address)
		conflict(t, err, "auth.restored of ashlar", "OWNER TO")
	})
	t.Run("an administrator who does not own the database", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		admin := w.RolePrefix + "_admin"
		w.do(w.address, "CREATE ROLE "+admin+" LOGIN CREATEROLE PASSWORD 'x'")
		t.Cleanup(func() { w.do(w.address, "DROP ROLE "+admin) })
		_, err := w.run(w.as(admin, "x"))
		require.ErrorContains(t, err, "has to own the database")
		require.EqualValues(t, 1, roles(w))
	})
	t.Run("an administrator who may make no roles", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		admin := w.RolePrefix + "_admin"
		w.do(w.address, "CREATE ROLE "+admin+" LOGIN PASSWORD 'x'")
		t.Cleanup(func() { w.do(w.address, "DROP ROLE "+admin) })
		_, err := w.run(w.as(admin, "x"))
		require.ErrorContains(t, err, "needs the right CREATEROLE")
	})
	t.Run("a folder that others can look into", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "auth")
		require.NoError(t, os.Mkdir(w.folder, 0o700))
		require.NoError(t, os.Chmod(w.folder, 0o750))
		_, err := w.run(w.address)
		require.ErrorContains(t, err, "chmod 700")
		require.Zero(t, roles(w))
	})
	t.Run("a file that others can read", func(t *testing.T) {
		t.Parallel()
		w := provisioned(t, "auth")
		require.NoError(t, os.Chmod(w.file("auth"), 0o640))
		_, err := w.run(w.address)
		require.ErrorContains(t, err, "chmod 600")
	})
}

// Neither a log of all statements nor the catalog has a password.
func TestTheServerNeverSeesAPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "auth", "identity")
	u, err := url.Parse(w.address.Reveal())
	require.NoError(t, err)
	name := strings.Trim(u.Path, "/")
	w.do(w.address, "ALTER DATABASE "+name+" SET log_statement = 'all'", "ALTER DATABASE "+name+" SET log_min_messages = 'debug1'",
		"ALTER DATABASE "+name+" SET log_min_duration_statement = 0")
	_, err = w.run(w.address)
	require.NoError(t, err)
	log, err := os.ReadFile(filepath.Join(u.Query().Get("host"), "log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "ALTER ROLE \""+w.Role("auth")+"\" PASSWORD 'SCRAM-SHA-256$", "statements are logged")
	for _, s := range w.Services {
		u, err := url.Parse(w.of(s.Name).Reveal())
		require.NoError(t, err)
		password, _ := u.User.Password()
		require.GreaterOrEqual(t, len(password), 26)
		require.NotContains(t, string(log), password)
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	t.Parallel()
	plan := func(services ...provision.Service) provision.Plan {
		return provision.Plan{RolePrefix: provision.DefaultRolePrefix, Services: services}
	}
	for name, test := range map[string]struct {
		plan     provision.Plan
		database string
		says     string
	}{
		"no service":      {plan(), "ashlar", "no service"},
		"one schema":      {plan(provision.Service{Name: "a", Schema: "x"}, provision.Service{Name: "b", Schema: "x"}), "ashlar", `a and b have the same database.schema "x"`},
		"public":          {plan(provision.Service{Name: "a", Schema: "public"}), "ashlar", "PostgreSQL's own"},
		"a system schema": {plan(provision.Service{Name: "a", Schema: "pg_a"}), "ashlar", "PostgreSQL's own"},
		"a wild name":     {plan(provision.Service{Name: "a'; DROP", Schema: "x"}), "ashlar", "no name of a service"},
		"a wild database": {plan(provision.Service{Name: "a", Schema: "x"}), "a\nb", "no name of a database"},
		"a wild prefix":   {provision.Plan{RolePrefix: "A b", Services: []provision.Service{{Name: "a", Schema: "x"}}}, "ashlar", "begin the names of roles"},
	} {
		_, err := test.plan.SQL(test.database)
		require.ErrorContains(t, err, test.says, name)
	}
	script, err := plan(provision.Service{Name: "a", Schema: "x"}).SQL(`it's "odd"`)
	require.NoError(t, err)
	require.Contains(t, script, `ON DATABASE "it's ""odd""" FROM PUBLIC`)
	require.Contains(t, script, `'it''s "odd"'`)
	require.False(t, regexp.MustCompile(`(?i)password\s+'`).MatchString(script))
}

// What the services get of the administrator's address is where the server is, and not who the administrator is.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://root:geheim@db.example.com/ashlar":                                                               "postgres://ROLE:PASSWORD@db.example.com/ashlar",
		"postgresql://db:5433/ashlar?user=root&password=geheim&sslmode=verify-full":                                  "postgres://ROLE:PASSWORD@db:5433/ashlar?sslmode=verify-full",
		"postgres://root:geheim@a,b:5433/ashlar?target_session_attrs=read-write&options=-c%20role%3Dpostgres&role=x": "postgres://ROLE:PASSWORD@a,b:5433/ashlar?target_session_attrs=read-write",
		"postgres://root:geheim@/ashlar?host=/run/pg&sslpassword=geheim":                                             "postgres://ROLE:PASSWORD@/ashlar?host=%2Frun%2Fpg",
	} {
		admin, err := provision.ParseAdmin(config.Secret(address))
		require.NoError(t, err, address)
		require.Equal(t, want, strings.Replace(admin.Example("role"), "role", "ROLE", 1))
		require.True(t, provision.HasPassword(config.Secret(address)), address)
	}
	t.Setenv("PGHOST", "/run/elsewhere")
	t.Setenv("PGSSLMODE", "prefer")
	admin, err := provision.ParseAdmin("postgres:///ashlar")
	require.NoError(t, err)
	require.Equal(t, "postgres://role:PASSWORD@/ashlar?host=%2Frun%2Felsewhere&port=5432&sslmode=prefer", admin.Example("role"))
	require.False(t, provision.HasPassword("postgres://root@db/ashlar"))

	for _, address := range []string{"", "sqlite:///x.db", "host=db password=geheim", "postgres://root:geheim%zz@db/ashlar", "postgres://root:geheim@db/ashlar?sslmode=geheim"} {
		_, err := provision.ParseAdmin(config.Secret(address))
		require.Error(t, err, address)
		require.NotContains(t, fmt.Sprintf("%+v", err), "geheim")
	}
}
