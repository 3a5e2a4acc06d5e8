package provision

import (
	"cmp"
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ashlar.dev/kernel/config"
)

// carried are the parameters of the administrator's address that are good for services, too: where the server is and how
// it proves who it is. Those that say who the administrator is are not among them.
var carried = []string{"host", "port", "sslmode", "sslrootcert", "sslsni", "sslnegotiation", "target_session_attrs", "connect_timeout"}

// usual are variables of the environment that libpq reads where the address says nothing (PostgreSQL's manual, section
// 34.15). A service has another environment, and must not get by with less.
var usual = map[string]string{"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslnegotiation": "PGSSLNEGOTIATION"}

// Admin is who provisions, and where.
type Admin struct {
	config *pgx.ConnConfig
	plain  url.URL // without any user, with carried parameters only
}

// ParseAdmin reads an administrator's address: postgres://user@host/database, with a password in it or in libpq's other
// places. No error shows it.
func ParseAdmin(address config.Secret) (*Admin, error) {
	const want = "write postgres://user:password@host:port/database"
	u, err := url.Parse(address.Reveal())
	if err != nil || !isAddress(address) {
		// Not wrapped: the error quotes the address with its password.
		return nil, errors.New("the administrator's address is not that of a PostgreSQL database (is a character of the password not escaped?): " + want)
	}
	parsed, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, errors.New("the administrator's address has a parameter that is none, or with a value that is none: " + want)
	}
	parsed.RuntimeParams["application_name"] = "platformctl"
	query := url.Values{}
	for _, name := range carried {
		if value := u.Query().Get(name); value != "" {
			query.Set(name, value)
		} else if value := os.Getenv(usual[name]); usual[name] != "" && value != "" {
			query.Set(name, value)
		}
	}
	plain := url.URL{Scheme: "postgres", Host: u.Host, Path: "/" + parsed.Database}
	if u.Host == "" && query.Get("host") == "" {
		query.Set("host", parsed.Host)
		query.Set("port", strconv.Itoa(int(parsed.Port)))
	}
	plain.RawQuery = query.Encode()
	return &Admin{config: parsed, plain: plain}, nil
}

// isAddress tells addresses from other text, which pgx would take for settings, or for none.
func isAddress(text config.Secret) bool {
	return strings.HasPrefix(text.Reveal(), "postgres://") || strings.HasPrefix(text.Reveal(), "postgresql://")
}

// HasPassword says whether an address has a password in it.
func HasPassword(address config.Secret) bool {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return true
	}
	_, given := u.User.Password()
	return given || u.Query().Has("password")
}

// Database is the name of the database.
func (a *Admin) Database() string { return a.config.Database }

// where names the database in messages.
func (a *Admin) where() string {
	return "the database " + a.config.Database + " at " + cmp.Or(a.plain.Host, a.config.Host)
}

// address is the one of a service.
func (a *Admin) address(role, password string) config.Secret {
	u := a.plain
	u.User = url.UserPassword(role, password)
	return config.Secret(u.String())
}

// Example is the address of a service, with a word in the place of its password.
func (a *Admin) Example(role string) string { return a.address(role, "PASSWORD").Reveal() }
