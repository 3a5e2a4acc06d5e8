package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ashlar.dev/gateway/internal/address"
	"ashlar.dev/gateway/internal/edge"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/platform/service"
)

// Config is what the gateway can be told. Each field is a flag, an environment variable with the prefix ASHLAR_, and a
// key of the configuration file. What is marked with reload can change while the gateway runs.
type Config struct {
	service.Config

	// What every other process listens on is found through the registry; the gateway is what people know, so its
	// address has a name and a default of its own. It has no database and waits for nobody's permissions.
	ListenAddr      struct{} `kong:"-"`
	DatabaseURL     struct{} `kong:"-"`
	DatabaseURLFile struct{} `kong:"-"`

	Addr        string        `name:"gateway-addr" help:"Address on which requests from outside are served; port 0 takes a free one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	CORSOrigins []string      `name:"gateway-cors-origins" help:"Origins whose scripts may call, such as https://app.example.com or http://localhost:*; none where not set." placeholder:"ORIGIN" reload:""`
	RateLimit   float64       `name:"gateway-rate-limit" help:"Requests that one caller may make each second; 0 means no limit." default:"100" reload:""`
	RateBurst   int           `name:"gateway-rate-burst" help:"Requests that one caller may make at once." default:"200" reload:""`
	MaxStreams  int           `name:"gateway-max-streams" help:"Streams that one caller may have open at a time; 0 means no limit." default:"100" reload:""`
	MaxTimeout  time.Duration `name:"gateway-max-timeout" help:"Longest time that a unary call may take, whatever callers and manifests say." default:"60s" reload:""`

	// For each side of a stream, where the manifest does not say.
	MaxStreamMessages int64 `name:"gateway-max-stream-messages" help:"Messages that each side of a stream may send; 0 means no limit." default:"1000000" reload:""`
	MaxStreamBytes    int64 `name:"gateway-max-stream-bytes" help:"Bytes of messages that each side of a stream may send; 0 means no limit." default:"1073741824" reload:""`

	VersionShares map[string]int `name:"gateway-version-shares" help:"Percent of the calls to a service that go to a version of it, such as notes@2.0.0=5; the other versions share the rest." placeholder:"SERVICE@VERSION=PERCENT" reload:""`

	TLSCertFile string `name:"gateway-tls-cert-file" help:"File with the certificate of that address and those that it is signed with, in PEM; plain text where not set." placeholder:"FILE"`
	TLSKeyFile  string `name:"gateway-tls-key-file" help:"File with the certificate's key, in PEM, mode 0600." placeholder:"FILE"`
	HTTP3       bool   `name:"gateway-http3" help:"Speak HTTP/3 as well, on the UDP port of the same number; only with TLS."`

	// Networks, and single addresses.
	TrustedProxies []string `name:"gateway-trusted-proxies" help:"Networks of proxies that are believed when they say in X-Forwarded-For for whom they ask, such as 10.0.0.0/8." placeholder:"NETWORK" reload:""`
	Allow          []string `name:"gateway-allow" help:"Networks from which people may call; all where not set." placeholder:"NETWORK" reload:""`
	Deny           []string `name:"gateway-deny" help:"Networks from which nobody may call, whatever gateway-allow says." placeholder:"NETWORK" reload:""`

	CacheBytes int64 `name:"gateway-cache-bytes" help:"Size of the cache for answers to Connect GETs that services allow to be kept; 0 keeps none." default:"0"`

	AccessLogSample float64       `name:"gateway-access-log-sample" help:"Share of requests that are logged, from 0 to 1; failures, refusals and slow requests are logged whatever it says." default:"0.01" reload:""`
	AccessLogSlow   time.Duration `name:"gateway-access-log-slow" help:"How long a unary call may take before it is logged as slow; 0 logs none for that." default:"1s" reload:""`

	OpenAPI bool `name:"gateway-openapi" help:"Describe all that can be called at /openapi.json, and show it at /docs. It tells what reflection tells." default:"true" negatable:""`

	MaxInFlight        int    `name:"gateway-max-in-flight" help:"Requests of all callers that may be under way at a time, streams included; 0 means no limit." default:"20000" reload:""`
	NoShedding         bool   `name:"gateway-no-shedding" help:"Pass calls on to a service however busy it is." reload:""`
	LimitsRedisURLFile string `name:"gateway-limits-redis-url-file" help:"File with the address of a Redis or Valkey, mode 0600, by which gateways share rate limits; where not set, each counts for itself." placeholder:"FILE"`

	MaxConnections        int           `name:"gateway-max-connections" help:"Connections that may be open at a time; further ones are closed at once. 0 means no limit." default:"20000" reload:""`
	MaxAddressConnections int           `name:"gateway-max-address-connections" help:"Connections of one address, other than a trusted proxy's, that may be open at a time. 0 means no limit." default:"1000" reload:""`
	MaxConnectionRequests int           `name:"gateway-max-connection-requests" help:"Requests that may be under way at a time over one connection of HTTP/2 or HTTP/3, streams included." default:"250"`
	HeaderTimeout         time.Duration `name:"gateway-header-timeout" help:"How long a TLS handshake, and the head of a request over HTTP/1.1, may take." default:"5s"`
	IdleTimeout           time.Duration `name:"gateway-idle-timeout" help:"How long a connection may be open while no request is under way." default:"2m"`
}

// defaultMaxTimeout is what MaxTimeout means where it is not set.
const defaultMaxTimeout = time.Minute

// settings is the part of a configuration that can change while the gateway runs. validate comes before it.
func (c Config) settings() edge.Settings {
	addresses, _ := c.addresses()
	return edge.Settings{
		Addresses:  addresses,
		MaxTimeout: cmp.Or(c.MaxTimeout, defaultMaxTimeout), CORSOrigins: c.CORSOrigins,
		RateLimit: routes.Limit{PerSecond: c.RateLimit, Burst: c.RateBurst}, MaxStreams: c.MaxStreams, MaxInFlight: c.MaxInFlight, NoShedding: c.NoShedding,
		StreamBounds: wire.Bounds{Messages: uint64(c.MaxStreamMessages), Bytes: uint64(c.MaxStreamBytes)}, // validate has seen that they are not negative
		AccessLog:    edge.AccessLog{Sample: c.AccessLogSample, Slow: c.AccessLogSlow},
	}
}

// addresses says where callers are, and which may call.
func (c Config) addresses() (out edge.Addresses, err error) {
	var errs []error
	for _, of := range []struct {
		name     string
		networks []string
		set      *address.Set
	}{
		{"gateway-trusted-proxies", c.TrustedProxies, &out.TrustedProxies},
		{"gateway-allow", c.Allow, &out.Allow},
		{"gateway-deny", c.Deny, &out.Deny},
	} {
		set, err := address.ParseSet(of.networks)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", of.name, err))
		}
		*of.set = set
	}
	return out, errors.Join(errs...)
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
	if c.MaxStreamMessages < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-stream-messages %d is negative", c.MaxStreamMessages))
	}
	if c.MaxStreamBytes < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-stream-bytes %d is negative", c.MaxStreamBytes))
	}
	if c.MaxInFlight < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-in-flight %d is negative", c.MaxInFlight))
	}
	errs = append(errs, c.validateConnections())
	if c.MaxTimeout < 0 {
		errs = append(errs, fmt.Errorf("gateway-max-timeout %s is negative", c.MaxTimeout))
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("gateway-tls-cert-file and gateway-tls-key-file: one is not set"))
	}
	if c.HTTP3 && c.TLSCertFile == "" {
		errs = append(errs, errors.New("gateway-http3: there is none without gateway-tls-cert-file"))
	}
	_, err := c.addresses()
	errs = append(errs, err)
	errs = append(errs, c.validateShares())
	if !(c.AccessLogSample >= 0 && c.AccessLogSample <= 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("gateway-access-log-sample %v is not from 0 to 1", c.AccessLogSample))
	}
	if c.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("gateway-cache-bytes %d is negative", c.CacheBytes))
	}
	if c.AccessLogSlow < 0 {
		errs = append(errs, fmt.Errorf("gateway-access-log-slow %s is negative", c.AccessLogSlow))
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
