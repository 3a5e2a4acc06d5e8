// Command caddy is Caddy with its standard modules, and one of the benchmark's own that checks tokens and rates. It is built
// only when it is asked for, in a module of its own: Caddy brings more dependencies than all of the platform.
package main

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what `caddy` itself has
)

func main() {
	caddy.RegisterModule(new(checks))
	httpcaddyfile.RegisterHandlerDirective("checks", parseChecks)
	caddycmd.Main()
}
