package database

import "ashlar.dev/kernel/config"

// Config is the section of a service's configuration about its database. A
// service embeds it with the prefix "database-", so that the flag is
// --database-url and the variable ASHLAR_DATABASE_URL.
type Config struct {
	URL config.Secret `name:"url" env:"ASHLAR_DATABASE_URL" help:"Where the data is: sqlite:///path/to/file.db or postgres://user:password@host:port/database." placeholder:"URL"`
}
