// Command caddy is Caddy with its standard modules and the plugins that its users take for tokens and rates. It is built only
// when it is asked for, in a module of its own: Caddy brings more dependencies than all of the platform.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what `caddy` itself has
	_ "github.com/greenpau/caddy-security"               // `authorize`: bearer tokens
	_ "github.com/mholt/caddy-ratelimit"                 // `rate_limit`
)

func main() { caddycmd.Main() }
