package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ashlar.dev/gateway/internal/edge"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/platform/service"
)

// Config is what the gateway can be told. Each field is a flag, an environment variable with the prefix ASHLAR_, and a
// key of the configuration file.
type Config struct {
	service.Config

	// What every other process listens on is found through the registry; the gateway is what people know, so its
	// address has a name and a default of its own. It has no database and waits for nobody's permissions.
	ListenAddr      struct{} `kong:"-"`
	DatabaseURL     struct{} `kong:"-"`
	DatabaseURLFile struct{} `kong:"-"`

	Addr        string        `name:"gateway-addr" help:"Address on which requests from outside are served; port 0 takes a free one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	CORSOrigins []string      `name:"gateway-cors-origins" help:"Origins whose scripts may call, such as https://app.example.com or http://localhost:*; none where not set." placeholder:"ORIGIN"`
	RateLimit   float64       `name:"gateway-rate-limit" help:"Requests that one caller may make each second; 0 means no limit." default:"100"`
	RateBurst   int           `name:"gateway-rate-burst" help:"Requests that one caller may make at once." default:"200"`
	MaxStreams  int           `name:"gateway-max-streams" help:"Streams that one caller may have open at a time; 0 means no limit." default:"100"`
	MaxTimeout  time.Duration `name:"gateway-max-timeout" help:"Longest time that a unary call may take, whatever callers and manifests say." default:"60s"`

	MaxInFlight        int    `name:"gateway-max-in-flight" help:"Requests of all callers that may be under way at a time, streams included; 0 means no limit." default:"20000"`
	LimitsRedisURLFile string `name:"gateway-limits-redis-url-file" help:"File with the address of a Redis or Valkey, mode 0600, by which gateways share rate limits; where not set, each counts for itself." placeholder:"FILE"`
}

// defaultMaxTimeout is what MaxTimeout means where it is not set.
const defaultMaxTimeout = time.Minute

// settings is the part of a configuration that can change while the gateway runs.
func (c Config) settings() edge.Settings {
	return edge.Settings{
		MaxTimeout: cmp.Or(c.MaxTimeout, defaultMaxTimeout), CORSOrigins: c.CORSOrigins,
		RateLimit: routes.Limit{PerSecond: c.RateLimit, Burst: c.RateBurst}, MaxStreams: c.MaxStreams, MaxInFlight: c.MaxInFlight,
	}
}

// validate tells what is wrong with a configuration.
func (c Config) validate() error {
	var errs []error
	if c.RateLimit < 0 {
		errs = append(errs, fmt.Errorf("gateway-rate-limit %v is negative", c.RateLimit))
	}
	if c.RateLimit > 0 && c.RateBurst < 1 {
		errs = append(errs, fmt.Errorf("gateway-rate-burst %d lets no request through", c.RateBurst))
	}
	if c.MaxStreams < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-streams %d is negative", c.MaxStreams))
	}
	if c.MaxInFlight < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-in-flight %d is negative", c.MaxInFlight))
	}
	if c.MaxTimeout < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-timeout %s is negative", c.MaxTimeout))
	}
	for _, origin := range c.CORSOrigins {
		errs = append(errs, validOrigin(origin))
	}
	return errors.Join(errs...)
}

// validOrigin refuses what would silently match nothing, such as an origin with a path.
func validOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(strings.Replace(origin, ":*", ":1", 1))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil ||
		strings.Count(origin, "*") > 1 {
		return fmt.Errorf("gateway-cors-origins: %q: want scheme://host[:port] with at most one *, such as https://app.example.com", origin)
	}
	return nil
}
