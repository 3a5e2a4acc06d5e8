// Package local runs a whole platform on this machine: a Consul agent, the platform's services and its gateway, each a
// process of its own. It is what `platformctl up` and `platformctl down` do.
//
// Everything that is kept is in one folder, the home (ASHLAR_HOME, .ashlar by default):
//
//	cluster.key            the key by which services know each other, made once
//	admin-email            the first administrator, fixed by the first run
//	admin-password
//	<service>.db           SQLite, where ASHLAR_<SERVICE>_DATABASE_URL does not name another database
//	env/<service>          its environment, for a shell: set -a; . .ashlar/env/audit; set +a; .bin/audit
//	logs/<process>.log     of the last run; the one of the run before ends in .1
//	control.sock           where a running `up` takes orders: see control.go
//	lock                   held, and with the process id of the holder, while `up` runs
//
// Only the owner can read any of it. No secret is in a process's arguments: services get the names of files.
//
// Which services there are the workspace says; the few that have a place of their own are in platform.go. The package
// knows nothing of what they do: it asks Consul and their /readyz. It starts processes on Unix only.
package local
