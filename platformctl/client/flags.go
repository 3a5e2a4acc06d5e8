package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/profile"
)

const (
	// DefaultGateway is where `platformctl up` has the gateway unless it is told otherwise.
	DefaultGateway = "http://127.0.0.1:8080"
	// GatewayVariable is the environment variable of the flag --gateway.
	GatewayVariable = "ASHLAR_GATEWAY_URL"
	// TokenVariable is the environment variable with an access token, for programs that have one.
	TokenVariable = "ASHLAR_TOKEN" //nolint:gosec // the name of a variable, no secret
)

// ProfileFlags say where profiles are and which one is meant.
type ProfileFlags struct {
	Profile   string `help:"Profile to use: who is signed in where." env:"ASHLAR_PROFILE" default:"default" placeholder:"NAME" predictor:"profile" group:"Whom and where to call"`
	ConfigDir string `help:"Folder of the profiles; ashlar in the user's configuration folder where not set." env:"ASHLAR_CONFIG_HOME" placeholder:"DIR" group:"Whom and where to call"`
}

// Store opens the store of profiles.
func (f *ProfileFlags) Store() (*profile.Store, error) { return profile.Open(f.ConfigDir) }

// Flags are what all commands have in common that talk to a gateway.
type Flags struct {
	ProfileFlags

	Gateway  string        `help:"URL of the gateway; that of the profile where not set, or else http://127.0.0.1:8080." env:"ASHLAR_GATEWAY_URL" placeholder:"URL" group:"Whom and where to call"`
	Insecure bool          `help:"Allow http to another machine. Everybody on the way can read passwords and tokens." group:"Whom and where to call"`
	Timeout  time.Duration `help:"How long a call may take; 0 sets no limit. Streams have none." default:"30s" group:"Whom and where to call"`
}

// Connect returns a connection to the gateway, as the owner of the token in the environment, or else as whoever is signed
// in there. It makes no call.
func (f *Flags) Connect(ctx context.Context) (*Connection, error) {
	token := os.Getenv(TokenVariable)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, exit.With(exit.Usage, errors.New(TokenVariable+" is not a token: it holds spaces or other characters that none has"))
	}
	c, err := f.ConnectProfile(ctx)
	if err == nil && token != "" {
		c.profile.UserID, c.profile.Email = "", ""
		c.tokens = fixed(token)
	}
	return c, err
}

// ConnectProfile returns a connection to the gateway as whoever is signed in there, whatever the environment says. It
// makes no call.
func (f *Flags) ConnectProfile(context.Context) (*Connection, error) {
	store, err := f.Store()
	if err != nil {
		return nil, err
	}
	p, err := store.Load(cmp.Or(f.Profile, profile.DefaultName))
	if err != nil {
		return nil, err
	}
	address, err := f.Address(p)
	if err != nil {
		return nil, err
	}
	if p.Gateway != address {
		// A token is for the gateway that gave it: another one must not get it.
		p = &profile.Profile{Name: p.Name, Gateway: address}
	}
	c := &Connection{gateway: address, profile: p, timeout: f.Timeout, http: newHTTPClient(address)}
	c.tokens = &kept{store: store, name: p.Name, gateway: address, refresh: c.refresh}
	return c, nil
}

// Address returns the URL of the gateway: the flag's, the profile's, or the default one.
func (f *Flags) Address(p *profile.Profile) (string, error) {
	return parseGateway(cmp.Or(f.Gateway, p.Gateway, DefaultGateway), f.Insecure)
}

// parseGateway returns the URL of a gateway in the one form that it is stored and compared in. Errors do not repeat the
// whole of it: somebody may have put a password in.
func parseGateway(text string, insecure bool) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", exit.With(exit.Usage, errors.New("the URL of the gateway cannot be read: want https://HOST[:PORT], or http://127.0.0.1:PORT"))
	}
	u.Host = strings.ToLower(u.Host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", exit.With(exit.Usage, fmt.Errorf("gateway at %s: want https://HOST[:PORT], or http://127.0.0.1:PORT", u.Host))
	case u.User != nil:
		return "", exit.With(exit.Usage, fmt.Errorf("gateway at %s: no user or password belongs into the URL: sign in with platformctl login", u.Host))
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !insecure:
		return "", exit.With(exit.Usage, fmt.Errorf("http to %s is refused, because everybody on the way could read passwords and tokens: use https, or --insecure if you know that nobody can", u.Host))
	}
	return u.Scheme + "://" + u.Host, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// With connects, has use make its calls, and closes the connection.
func (f *Flags) With(ctx context.Context, use func(*Connection) error) error {
	c, err := f.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return use(c)
}
