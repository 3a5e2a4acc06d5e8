package local

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/exit"
)

const (
	prefix         = "ASHLAR_"
	databaseSuffix = "_DATABASE_URL"
	databaseFile   = "DATABASE_URL_FILE"
)

// environment makes the environments of the services.
type environment struct {
	inherited   map[string]string // that of platformctl
	consulAddr  string
	gatewayAddr string
	clusterKey  string // path
	databases   string // folder with a file for each service's address; empty: SQLite in the home folder
	admin       home.Admin
	home        *home.Home
}

// parseEnviron turns os.Environ() into a map.
func parseEnviron(environ []string) map[string]string {
	variables := make(map[string]string, len(environ))
	for _, variable := range environ {
		if name, value, ok := strings.Cut(variable, "="); ok {
			variables[name] = value
		}
	}
	return variables
}

// checkEnviron refuses what would not do what it seems to.
func checkEnviron(inherited map[string]string, programs []program) error {
	given := ""
	for _, name := range []string{prefix + "DATABASE_URL", prefix + databaseFile} {
		if inherited[name] != "" {
			given = name
		}
	}
	if given == "" {
		return nil
	}
	var names []string
	for _, p := range programs {
		if p.database {
			names = append(names, databaseVariable(p.name))
		}
	}
	return exit.With(exit.Usage, errors.New(given+" names one database, and each service has its own: set ASHLAR_DATABASES, or "+strings.Join(names, ", ")+" instead"))
}

// databasesFolder returns the absolute path of a folder with the addresses of databases, in which every program has to have
// one that is not given otherwise.
func databasesFolder(named string, inherited map[string]string, programs []program) (string, error) {
	if named == "" {
		return "", nil
	}
	folder, err := filepath.Abs(named)
	if err != nil {
		return "", fmt.Errorf("the folder of the databases' addresses: %w", err)
	}
	for _, p := range programs {
		if !p.database || inherited[databaseVariable(p.name)] != "" {
			continue
		}
		if _, err := config.ReadSecretFile(DatabaseFile(folder, p.name)); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the address of the database of %s: %w: platformctl db provision --out %s", p.name, err, named)
		} else if err != nil {
			return "", fmt.Errorf("the address of the database of %s: %w", p.name, err)
		}
	}
	return folder, nil
}

// own returns the variables that are set for a program whatever instance of it runs. None is a secret, except the
// address of a database that was given.
func (e *environment) own(p program) map[string]string {
	own := map[string]string{
		"ASHLAR_CONSUL_ADDR":      e.consulAddr,
		"ASHLAR_CLUSTER_KEY_FILE": e.clusterKey,
		"ASHLAR_LOG_FORMAT":       "json",
	}
	if p.database {
		switch given := e.inherited[databaseVariable(p.name)]; {
		case given != "":
			own[prefix+"DATABASE_URL"] = given
		case e.databases != "":
			own[prefix+databaseFile] = DatabaseFile(e.databases, p.name)
		default:
			own[prefix+"DATABASE_URL"] = e.home.SQLite(p.name).Reveal()
		}
	}
	if p.admin {
		own["ASHLAR_ADMIN_EMAIL"] = e.admin.Email
		own["ASHLAR_ADMIN_PASSWORD_FILE"] = e.admin.PasswordFile
	}
	if p.gateway {
		own["ASHLAR_GATEWAY_ADDR"] = e.gatewayAddr
	}
	return own
}

// process returns the whole environment of one instance, in the form of os.Environ().
func (e *environment) process(p program, instance, opsAddr string) []string {
	variables := maps.Clone(e.inherited)
	maps.DeleteFunc(variables, func(name, _ string) bool { return isOurs(name) })
	maps.Copy(variables, e.own(p))
	variables["ASHLAR_INSTANCE_ID"] = instance
	variables["ASHLAR_OPS_ADDR"] = opsAddr
	environ := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		environ = append(environ, name+"="+variables[name])
	}
	return environ
}

// isOurs reports whether a variable that platformctl got is not for all services: each has its own, or none.
func isOurs(name string) bool {
	if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, databaseSuffix) {
		return true
	}
	if isPersonal(name) {
		return true
	}
	switch strings.TrimPrefix(name, prefix) {
	case "LISTEN_ADDR", "OPS_ADDR", "INSTANCE_ID", "GATEWAY_ADDR", "HOME", "BIN", "ROOT", "DATABASES", databaseFile,
		"ADMIN_EMAIL", "ADMIN_PASSWORD", "ADMIN_PASSWORD_FILE":
		return strings.HasPrefix(name, prefix)
	}
	return false
}

// isPersonal reports whether a variable is for the commands that a person runs, some with a secret in it, and not for a
// service.
func isPersonal(name string) bool {
	switch strings.TrimPrefix(name, prefix) {
	case "ADMIN_DSN", "TOKEN", "PASSWORD", "EMAIL", "PROFILE", "CONFIG_HOME", "GATEWAY_URL", "ORG":
		return strings.HasPrefix(name, prefix)
	}
	return false
}

// script returns what a shell has to read to start a program like `up` does; a second instance of it can be started
// that way, too. It holds no secret: a database that was given is referred to by the variable that gave it.
func (e *environment) script(p program) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Written by platformctl up. To start %s by hand: set -a; . THIS_FILE; set +a; .bin/%s\n", p.name, p.name)
	own := e.own(p)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		value := quote(own[name])
		if variable := databaseVariable(p.name); name == prefix+"DATABASE_URL" && e.inherited[variable] != "" {
			value = fmt.Sprintf(`"${%s:?is not set, and the database of %s was given by it}"`, variable, p.name)
		}
		fmt.Fprintf(&text, "%s=%s\n", name, value)
	}
	return text.String()
}

// quote writes text as one word of a POSIX shell.
func quote(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@,+%", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// newInstanceID names one instance of a program.
func newInstanceID(program string) string {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return program + "-" + hex.EncodeToString(random)
}
