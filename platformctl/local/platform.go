package local

import (
	"fmt"
	"slices"
	"strings"

	"ashlar.dev/platformctl/workspace"
)

// Programs with a place of their own. What else there is the workspace knows.
const (
	consulName  = "consul"
	gatewayName = "gateway"
	auditName   = "audit"
	authName    = "auth"
)

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
// so that no new call comes in; then each before those that it depends on; audit last, so that the others can still
// deliver their events when they drain. The gateway is the last one.
func programs(w *workspace.Workspace) ([]program, error) {
	order, err := w.Order()
	if err != nil {
		return nil, err
	}
	if i := slices.Index(order, auditName); i > 0 {
		order = append([]string{auditName}, slices.Delete(order, i, i+1)...)
	}
	list := make([]program, 0, len(order)+1)
	for _, name := range order {
		if name == gatewayName || name == consulName {
			return nil, fmt.Errorf("a service cannot be named %s: the platform has a program of that name", name)
		}
		service, _ := w.Find(name)
		// A service that has no tables of its own has the one for its events.
		p := program{name: name, database: true, admin: name == authName, dependsOn: service.DependsOn()}
		if service.Manifest.Gateway.Expose {
			p.rpcs = service.Manifest.Services
		}
		list = append(list, p)
	}
	return append(list, program{name: gatewayName, gateway: true}), nil
}

// databaseVariable names the environment variable with the address of a service's database.
func databaseVariable(service string) string {
	return "ASHLAR_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + databaseSuffix
}
