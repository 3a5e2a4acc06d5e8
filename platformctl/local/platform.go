package local

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/core"
	"ashlar.dev/platformctl/workspace"
)

// GatewayName is the name of the program where callers come in.
const GatewayName = "gateway"

// consulName is the other program with a place of its own. What else there is the workspace knows.
const consulName = "consul"

// program is one of the platform's own processes.
type program struct {
	name      string   // of its binary and of its service in Consul
	database  bool     // it has one
	admin     bool     // it makes the first administrator
	gateway   bool     // it is where callers come in
	dependsOn []string // names of programs that must be ready before it is
	rpcs      []string // its RPC services, where it can be called through the gateway
}

// programs lists the platform's own processes: the services of the workspace, and the gateway. All are started at once,
// because each waits for those that it depends on. They are stopped in the reverse of this order: the gateway first,
// so that no new call comes in; then each before those that it depends on; what outlasts the others last (core.Rules), though
// they do not wait for it when they start. The gateway is the last one.
func programs(w *workspace.Workspace) ([]program, error) {
	rules := core.Rules()
	positions, err := manifest.Resolve(w.Manifests(), manifest.Rules{Needed: rules.Needed})
	if err != nil {
		return nil, err
	}
	order := make([]string, len(positions))
	after := map[string][]string{}
	for i, p := range positions {
		order[i] = p.Manifest.Name
		after[p.Manifest.Name] = p.After
	}
	for _, last := range rules.Outlasting {
		if i := slices.Index(order, last); i > 0 {
			order = append([]string{last}, slices.Delete(order, i, i+1)...)
		}
	}
	list := make([]program, 0, len(order)+1)
	for _, name := range order {
		if name == GatewayName || name == consulName {
			return nil, fmt.Errorf("a service cannot be named %s: the platform has a program of that name", name)
		}
		service, _ := w.Find(name)
		// A service that has no tables of its own has the one for its events.
		p := program{name: name, database: true, admin: name == core.Auth, dependsOn: after[name]}
		if service.Manifest.Gateway.Expose {
			p.rpcs = service.Manifest.Services
		}
		list = append(list, p)
	}
	return append(list, program{name: GatewayName, gateway: true}), nil
}

// closure returns the names of programs together with all that they depend on.
func closure(list []program, names []string) []string {
	found := slices.Clone(names)
	for i := 0; i < len(found); i++ {
		for _, p := range list {
			if p.name != found[i] {
				continue
			}
			for _, d := range p.dependsOn {
				if !slices.Contains(found, d) {
					found = append(found, d)
				}
			}
		}
	}
	return found
}

// needed returns the names of the programs that have to run for these: all that they and the core services depend on,
// and the gateway. No names mean all programs.
func needed(list []program, names []string) ([]string, error) {
	all := make([]string, len(list))
	for i, p := range list {
		all[i] = p.name
	}
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%w %q; there are: %s", errUnknownUnit, name, strings.Join(all, ", "))
		}
	}
	there := func(name string) bool { return slices.Contains(all, name) }
	wanted := append(slices.Clone(names), GatewayName)
	for _, name := range core.Running() {
		if there(name) && !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	return closure(list, wanted), nil
}

// databaseVariable names the environment variable with the address of a service's database.
func databaseVariable(service string) string {
	return "ASHLAR_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + databaseSuffix
}

// DatabaseFile is the file with the address of a service's database in a folder of such files, as `platformctl db provision`
// writes them.
func DatabaseFile(folder, service string) string { return filepath.Join(folder, service+".dsn") }
