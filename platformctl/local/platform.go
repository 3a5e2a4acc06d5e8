package local

import "strings"

// program is one of the platform's own processes.
type program struct {
	name     string // of its binary and of its service in Consul
	database bool   // it has one
	admin    bool   // it makes the first administrator
	gateway  bool   // it is where callers come in
	rpc      string // one of its RPC services, for asking the gateway whether it knows the way
}

// platform lists the platform's own processes. All are started at once, because each waits for those that it depends
// on. They are stopped in the reverse of this order: the gateway first, so that no new call comes in; audit last, so
// that the others can still deliver their events when they drain.
// The gateway is the last one.
var platform = []program{
	{name: "audit", database: true, rpc: "ashlar.audit.v1.AuditService"},
	{name: "identity", database: true, rpc: "ashlar.identity.v1.UserService"},
	{name: "authz", database: true, rpc: "ashlar.authz.v1.RoleService"},
	{name: "auth", database: true, admin: true, rpc: "ashlar.auth.v1.AuthService"},
	{name: "gateway", gateway: true},
}

// databaseVariable names the environment variable with the address of a service's database.
func databaseVariable(service string) string {
	return "ASHLAR_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + databaseSuffix
}
