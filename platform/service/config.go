// Package service puts one service of the platform together: from its manifest, its migrations and its handlers to a
// set of components that start in order and drain. What it makes serves a process of its own, the process that holds
// all services, and tests.
package service

import (
	"errors"
	"fmt"
	"time"

	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/telemetry"
)

// Config is what every process of the platform can be told. Each field is a flag, an environment variable with the
// prefix ASHLAR_, and a key of the configuration file.
type Config struct {
	config.File
	telemetry.Config

	ListenAddr        string        `help:"Address on which RPCs are served; port 0 takes a free one." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	AdvertiseAddr     string        `help:"Host under which other machines reach this one; where not set, the host of the listen address." placeholder:"HOST"`
	OpsAddr           string        `help:"Address of /healthz, /readyz and /metrics; empty turns them off." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	OpsDebug          string        `help:"Who may see profiles, and who is connected, on that address: local (those on the same machine), all, or none." enum:"local,all,none" default:"local" placeholder:"WHO"`
	DatabaseURL       config.Secret `help:"sqlite:///absolute/path.db or postgres://…" env:"ASHLAR_DATABASE_URL" placeholder:"URL"`
	DatabaseURLFile   string        `name:"database-url-file" env:"ASHLAR_DATABASE_URL_FILE" help:"File with that address, mode 0600, instead." placeholder:"FILE"`
	SlowQuery         time.Duration `help:"How long a statement on the database may take before it is logged as slow; 0 logs none." default:"200ms"`
	ClusterKeyFile    string        `help:"File with the key by which services know each other: 32 bytes in base64, mode 0600." placeholder:"FILE"`
	ConsulAddr        string        `help:"Address of the Consul agent." env:"ASHLAR_CONSUL_ADDR,CONSUL_HTTP_ADDR" default:"127.0.0.1:8500" placeholder:"HOST:PORT"`
	ConsulToken       config.Secret `help:"ACL token for Consul; set it by environment or file." env:"ASHLAR_CONSUL_TOKEN,CONSUL_HTTP_TOKEN" placeholder:"TOKEN"`
	InstanceID        string        `help:"Name of this instance, unique in the platform; made up where not set." placeholder:"ID"`
	Zone              string        `help:"Where this process runs, such as a data centre; instances of the same zone are preferred." placeholder:"NAME"`
	Weight            *int          `help:"Share of the calls to the service that this instance gets, beside the others': 0 to 10000; 100 where not set." placeholder:"N"`
	DependencyTimeout time.Duration `help:"How long to wait at start for the services that this one depends on." default:"60s"`
	Migrate           string        `help:"What to do at start where the database lacks migrations: apply, or verify, which refuses to start." enum:"apply,verify" default:"apply" placeholder:"MODE"`
	MigrationTimeout  time.Duration `help:"How long the migrations of the database may take at start." default:"1h"`
	DrainTime         time.Duration `help:"How long to go on serving after leaving the registry, so that callers notice." default:"200ms"`
}

// migrateVerify is the Config.Migrate of those who apply migrations apart. What is not it applies them, also where nothing is
// set: a configuration that was not parsed.
const migrateVerify = "verify"

// Common returns what every process can be told; a configuration that embeds this one has it, too.
func (c *Config) Common() *Config { return c }

// Database returns the address of the database, from the environment or from its file.
func (c *Config) Database() (config.Secret, error) {
	switch {
	case c.DatabaseURLFile == "":
		return c.DatabaseURL, nil
	case c.DatabaseURL != "":
		return "", errors.New("ASHLAR_DATABASE_URL and ASHLAR_DATABASE_URL_FILE are both set: take one away")
	}
	address, err := config.ReadSecretFile(c.DatabaseURLFile)
	if err != nil {
		return "", fmt.Errorf("the address of the database: %w; ASHLAR_DATABASE_URL_FILE names the file", err)
	}
	if address == "" {
		return "", fmt.Errorf("the address of the database: %s is empty", c.DatabaseURLFile)
	}
	return address, nil
}
